"""How the pixels of patches are read: through Keras where it can, else as rasters."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from clusternet.nodata import NodataChoice, Number, default_rule
from clusternet.patches.manifest import Manifest
from clusternet.raster import open_raster
from clusternet.raster.validity import fitting, valid_pixels
from clusternet.scene_rule import EACH_FILE
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Shape, Window

Read = Callable[[int], tuple[AnyArray, BoolArray]]
"""Gives the pixels (rows, cols, bands) and valid (rows, cols) of the patch of an index."""


def nodata_choices(
    manifest: Manifest | None, files: Sequence[Path], nodata: Number | None
) -> tuple[NodataChoice, list[NodataChoice]]:
    """Return what marks pixels without data: in the run's rasters, and in each patch.

    The user's value counts, else what patches.json records. What the rasters declared themselves
    also serves other rasters of the run, but only those that declare nothing.

    Args:
        manifest: what patches.json says, None where there is none.
        files: the patches, relative to their folder.
        nodata: the user's value.
    """
    given = None if manifest is None else manifest.given
    rule = None if given is None else given.rule
    scene = EACH_FILE if given is None else given.scene
    if nodata is not None or manifest is None:
        choice = NodataChoice(nodata, rule, scene=scene)
        return choice, [choice.of_pixels] * len(files)
    own = [manifest.choice_of(file) for file in files]
    if given is not None and given.value is not None:
        return given, own
    shared = own[0].value if len({str(one.value) for one in own}) == 1 else None
    return NodataChoice(shared, rule, overrides=given is None, scene=scene), own


def keras_reader(
    folder: Path,
    files: Sequence[Path],
    shape: Shape,
    num_bands: int,
    has_alpha: bool,
    markers: Sequence[NodataChoice],
) -> Read:
    """Read 8-bit grey, RGB and RGBA patches through Keras' ImageDataGenerator.

    Keras is loaded when the first patch is read.

    Args:
        folder: the folder of patches.
        files: relative to it.
        shape: (rows, cols) to resize to.
        num_bands: 1 or 3.
        has_alpha: True if a patch has alpha, or a transparent colour.
        markers: what marks pixels without data in each patch.
    """
    colours = "rgba" if has_alpha else "rgb" if num_bands == 3 else "grayscale"
    lock = threading.Lock()

    @cache
    def iterator() -> Any:
        return _keras_iterator(folder, files, shape, colours)

    def read(index: int) -> tuple[AnyArray, BoolArray]:
        with lock:  # several threads read, and one makes the iterator
            images = iterator()
        pixels = images[index][0]
        bands = np.moveaxis(pixels[..., :num_bands], -1, 0).astype(np.uint8)
        values = [fitting(markers[index].value, "uint8")] * num_bands
        rule = markers[index].rule or default_rule("uint8", values)
        valid = valid_pixels(bands, values, rule)
        if has_alpha:
            valid &= pixels[..., -1] > 0
        return pixels[..., :num_bands], valid

    return read


def _keras_iterator(folder: Path, files: Sequence[Path], shape: Shape, colours: str) -> Any:
    """Return Keras' iterator over the files, in their order."""
    import pandas as pd

    from clusternet.network.backend import ImageDataGenerator

    with contextlib.redirect_stdout(io.StringIO()):  # "Found 12 images belonging to ..."
        return ImageDataGenerator(data_format="channels_last").flow_from_dataframe(
            pd.DataFrame({"filename": [str(file) for file in files]}),
            str(folder),
            validate_filenames=False,
            target_size=shape,
            color_mode=colours,
            class_mode=None,
            batch_size=1,
            shuffle=False,
        )


def raster_reader(
    folder: Path,
    files: Sequence[Path],
    shape: Shape,
    markers: Sequence[NodataChoice],
    infinite: set[int],
) -> Read:
    """Read patches of any bands and pixel type as rasters.

    Args:
        folder: the folder of patches.
        files: relative to it.
        shape: (rows, cols) to resize to.
        markers: what marks pixels without data in each patch.
        infinite: gets the indexes of patches with infinite values.
    """

    def read(index: int) -> tuple[AnyArray, BoolArray]:
        with open_raster(folder / files[index], markers[index]) as raster:
            own = raster.profile.shape
            pixels, valid = raster.read(Window(0, 0, *own))
        if raster.num_infinite:
            infinite.add(index)
        if own != shape:
            # the pixel under the centre of each new one, as Keras does with Pillow's NEAREST
            rows = ((np.arange(shape[0]) + 0.5) * own[0] / shape[0]).astype(int)
            cols = ((np.arange(shape[1]) + 0.5) * own[1] / shape[1]).astype(int)
            nearest = np.ix_(rows, cols)
            pixels, valid = pixels[nearest], valid[nearest]
        return pixels, valid

    return read
