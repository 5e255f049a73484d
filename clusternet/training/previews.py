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
    places = np.unique(np.linspace(0, len(usable) - 1, _ROWS).astype(int))
    return np.asarray(usable[places])


def epoch_name(epoch: int) -> str:
    """Return how the preview and the folder of maps of an epoch are called."""
    return f"epoch_{epoch:03d}"


def write_preview(
    path: Path, loader: BatchLoader, choice: NDArray[np.int64], label: Label, num_clusters: int
) -> None:
    """Write one picture: for each chosen patch its image beside its cluster map.

    With valid padding both show the labelled centre.
    """
    middle = centre(Window(0, 0, *loader.patches.shape), loader.labelled_shape).slices()
    colours = palette(num_clusters)
    rows = []
    for batch in loader.batches(choice):
        labels = label(batch)
        for place, index in enumerate(batch.indexes.tolist()):
            pixels, valid = loader.patches.read(index)
            image = stretch(pixels[middle], valid[middle])
            rows.append(side_by_side([image, colour_labels(labels[place], -1, colours)]))
    gap = np.full((8, *rows[0].shape[1:]), 255, np.uint8)
    stacked = [part for row in rows for part in (row, gap)][:-1]
    save_png(path, np.concatenate(stacked), kind=None, overwrite=True)


EPOCH_MAPS = Kind(
    "folder of maps of an epoch",
    # in a run every such folder is ours, and what else lies in it is handed on
    lambda folder: RUN.owns(folder.parent.parent) or any(map(is_our_png, folder.rglob("*.png"))),
    lambda folder: lambda place: is_our_png(folder / place),
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
    with new_folder(folder, kind=EPOCH_MAPS, overwrite=overwrite) as part:
        for batch in loader.batches(np.arange(len(files))):  # which answers signals
            for index, labels in zip(batch.indexes.tolist(), label(batch), strict=False):
                path = part / files[index].with_suffix(".png")
                path.parent.mkdir(parents=True, exist_ok=True)
                _map_image(labels, palette(num_clusters)).save(path, pnginfo=signature())


def _map_image(labels: IntArray, colours: UInt8Array) -> Image.Image:
    if len(colours) > 255:
        return Image.fromarray(np.where(labels < 0, 65535, labels).astype(np.uint16))
    image = Image.fromarray(np.where(labels < 0, 255, labels).astype(np.uint8))
    table = np.zeros((256, 3), np.uint8)
    table[: len(colours)] = colours
    image.putpalette(table.tobytes())
    return image
