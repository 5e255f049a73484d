"""How the pixels of patches are read: through Keras where it can, else as rasters."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from clusternet.nodata import NodataChoice, Number, default_rule
from clusternet.patches.manifest import Manifest
from clusternet.processes.phases import phases
from clusternet.raster import open_raster
from clusternet.raster.validity import fitting, valid_pixels
from clusternet.scene_rule import EACH_FILE
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Shape, Window


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


class Reader(Protocol):
    """Reads the patches of a folder; can be sent to another process."""

    infinite: set[int]
    """Indexes of the patches read so far that hold infinite values, which count as no data."""

    def read(self, index: int) -> tuple[AnyArray, BoolArray]:
        """Return pixels (rows, cols, bands) and valid (rows, cols) of a patch."""

    def part(self, chosen: slice) -> Reader:
        """Return a reader of some of the patches, whose indexes start at 0."""


@dataclass
class KerasReader:
    """Reads 8-bit grey, RGB and RGBA patches through Keras' ImageDataGenerator.

    Keras is loaded when the first patch is read.
    """

    folder: Path
    files: Sequence[Path]
    """Relative to ``folder``."""
    shape: Shape
    """(rows, cols) to resize to."""
    num_bands: int
    """1 or 3."""
    has_alpha: bool
    """True if a patch has alpha, or a transparent colour."""
    markers: Sequence[NodataChoice]
    """What marks pixels without data in each patch."""
    infinite: set[int] = field(default_factory=set)
    """Stays empty: whole numbers are finite."""

    def __post_init__(self) -> None:
        """Start without Keras."""
        self._lock = threading.Lock()  # several threads read, and one makes the iterator
        self._images: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Send what the reader was made of: an iterator of Keras belongs to its process."""
        return type(self), tuple(getattr(self, each.name) for each in fields(self))

    def part(self, chosen: slice) -> KerasReader:
        """See `Reader`."""
        some = self.files[chosen], self.markers[chosen]
        return replace(self, files=some[0], markers=some[1], infinite=set())

    @phases.during("reading")
    def read(self, index: int) -> tuple[AnyArray, BoolArray]:
        """See `Reader`."""
        pixels = self._iterator()[index][0]
        bands = np.moveaxis(pixels[..., : self.num_bands], -1, 0).astype(np.uint8)
        marker = self.markers[index]
        values = [fitting(marker.value, "uint8")] * self.num_bands
        rule = marker.rule or default_rule("uint8", values)
        valid = valid_pixels(bands, values, rule)
        if self.has_alpha:
            valid &= pixels[..., -1] > 0
        return pixels[..., : self.num_bands], valid

    def _iterator(self) -> Any:
        colours = "rgba" if self.has_alpha else "rgb" if self.num_bands == 3 else "grayscale"
        with self._lock:
            if self._images is None:
                self._images = _keras_iterator(self.folder, self.files, self.shape, colours)
            return self._images


def _keras_iterator(folder: Path, files: Sequence[Path], shape: Shape, colours: str) -> Any:
    """Return Keras' iterator over the files, in their order.

    Keras would keep several strings of each file, so it gets the first one, and then our list.
    """
    import pandas as pd

    from clusternet.network.backend import ImageDataGenerator

    with contextlib.redirect_stdout(io.StringIO()):  # "Found 12 images belonging to ..."
        images = ImageDataGenerator(data_format="channels_last").flow_from_dataframe(
            pd.DataFrame({"filename": [str(files[0])]}),
            str(folder),
            validate_filenames=False,
            target_size=shape,
            color_mode=colours,
            class_mode=None,
            batch_size=1,
            shuffle=False,
        )
    images.n, images._filepaths = len(files), _Names(folder, files)
    return images


@dataclass(frozen=True)
class _Names:
    """The names of files, made when they are asked for."""

    folder: Path
    files: Sequence[Path]

    def __getitem__(self, index: int) -> str:
        return str(self.folder / self.files[index])


@dataclass
class RasterReader:
    """Reads patches of any bands and pixel type as rasters."""

    folder: Path
    files: Sequence[Path]
    """Relative to ``folder``."""
    shape: Shape
    """(rows, cols) to resize to."""
    markers: Sequence[NodataChoice]
    """What marks pixels without data in each patch."""
    infinite: set[int] = field(default_factory=set)
    """See `Reader`."""

    def part(self, chosen: slice) -> RasterReader:
        """See `Reader`."""
        some = self.files[chosen], self.markers[chosen]
        return replace(self, files=some[0], markers=some[1], infinite=set())

    def read(self, index: int) -> tuple[AnyArray, BoolArray]:
        """See `Reader`."""
        with open_raster(self.folder / self.files[index], self.markers[index]) as raster:
            own = raster.profile.shape
            pixels, valid = raster.read(Window(0, 0, *own))
        if raster.num_infinite:
            self.infinite.add(index)
        if own != self.shape:
            # the pixel under the centre of each new one, as Keras does with Pillow's NEAREST
            rows = ((np.arange(self.shape[0]) + 0.5) * own[0] / self.shape[0]).astype(int)
            cols = ((np.arange(self.shape[1]) + 0.5) * own[1] / self.shape[1]).astype(int)
            nearest = np.ix_(rows, cols)
            pixels, valid = pixels[nearest], valid[nearest]
        return pixels, valid
