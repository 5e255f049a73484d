"""Pictures and cluster maps of patches, written while a run trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clusternet.colours import palette
from clusternet.files.outputs import Kind, new_folder
from clusternet.files.pictures import (
    colour_labels,
    is_our_png,
    save_png,
    side_by_side,
    signature,
    stretch,
)
from clusternet.patches.batches import Batch, BatchLoader
from clusternet.training.run_files import RUN
from clusternet.types import IntArray, UInt8Array
from clusternet.windows import Window, centre

Label = Callable[[Batch], IntArray]
"""Gives a batch its cluster numbers (batch size, rows', cols'), -1 where not valid."""

_ROWS = 4


def preview_choice(usable: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a few patches spread evenly over all of them, the same ones every time."""
    positions = np.unique(np.linspace(0, len(usable) - 1, _ROWS).astype(int))
    return np.asarray(usable[positions])


def epoch_name(epoch: int) -> str:
    """Return the name of the preview and of the folder of maps of an epoch."""
    return f"epoch_{epoch:03d}"


def write_preview(
    path: Path, loader: BatchLoader, choice: NDArray[np.int64], label: Label, colours: UInt8Array
) -> None:
    """Write one picture: for each chosen patch its image beside its cluster map.

    With valid padding both show the labelled centre. ``colours`` (numbers, 3) are those of the
    numbers that ``label`` gives.
    """
    middle = centre(Window(0, 0, *loader.patches.shape), loader.labelled_shape).slices()
    rows = []
    for batch in loader.batches(choice):
        labels = label(batch)
        # a batch that is filled up has more labels than patches
        for patch, patch_labels in zip(batch.indexes.tolist(), labels, strict=False):
            pixels, valid = loader.patches.read(patch)
            image = stretch(pixels[middle], valid[middle])
            rows.append(side_by_side([image, colour_labels(patch_labels, -1, colours)]))
    gap = np.full((8, *rows[0].shape[1:]), 255, np.uint8)
    with_gaps = [image for row in rows for image in (row, gap)][:-1]
    save_png(path, np.concatenate(with_gaps), kind=None, overwrite=True)


EPOCH_MAPS = Kind(
    "folder of maps of an epoch",
    # Inside a run every such folder is ours. Other files in it are kept when it is replaced.
    lambda folder: RUN.owns(folder.parent.parent) or any(map(is_our_png, folder.rglob("*.png"))),
    lambda folder: lambda relative_path: is_our_png(folder / relative_path),
)


def write_patch_maps(
    folder: Path, loader: BatchLoader, label: Label, num_clusters: int, *, overwrite: bool = False
) -> None:
    """Write the cluster map of every patch as PNG, in the same sub-folders as the patches.

    8 bit with a colour table and 255 for nodata, or 16 bit with 65535 above 255 clusters.

    Raises:
        OutputError: if the folder exists and may not be replaced, or cannot be written.
    """
    files = loader.patches.files
    with new_folder(folder, kind=EPOCH_MAPS, overwrite=overwrite) as new:
        for batch in loader.batches(np.arange(len(files))):  # answers signals
            for index, labels in zip(batch.indexes.tolist(), label(batch), strict=False):
                path = new / files[index].with_suffix(".png")
                path.parent.mkdir(parents=True, exist_ok=True)
                _map_image(labels, palette(num_clusters)).save(path, pnginfo=signature())


def _map_image(labels: IntArray, colours: UInt8Array) -> Image.Image:
    if len(colours) > 255:  # 8 bits hold 255 clusters beside nodata
        return Image.fromarray(np.where(labels < 0, 65535, labels).astype(np.uint16))
    image = Image.fromarray(np.where(labels < 0, 255, labels).astype(np.uint8))
    table = np.zeros((256, 3), np.uint8)
    table[: len(colours)] = colours
    image.putpalette(table.tobytes())
    return image
