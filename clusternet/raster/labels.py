"""Labels of any kind, read window by window on the grid of a map.

Rasters on the same grid are read as they are, rasters on another grid are resampled (nearest
neighbour), vectors are burnt; callers see no difference.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

import numpy as np
import shapely
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.features import rasterize

from clusternet.errors import LabelError
from clusternet.raster.alignment import boxes_meet, drawing_transform, on_same_grid, warped_onto
from clusternet.raster.opening import open_dataset, open_raster
from clusternet.raster.profile import RasterProfile
from clusternet.raster.reading import Raster
from clusternet.types import AnyArray, BoolArray, IntArray
from clusternet.vectors import MAX_CLASS, Shapes, is_vector, read_shapes
from clusternet.windows import Window

logger = logging.getLogger(__name__)

UNLABELLED = 255
"""The value of 8-bit label rasters that means no label, whether or not the file declares it."""
NO_LABEL = -1
"""The value of pixels without a label in the arrays that are read."""
RGB = tuple[int, int, int]


class Labels(Protocol):
    """Labels on the grid of a map."""

    path: Path
    """The file that they come from."""
    overlaps: bool
    """False if no label can lie on the map."""
    names: Mapping[int, str]
    """The name of each class, where the file states names."""

    def read(self, window: Window) -> tuple[IntArray, BoolArray]:
        """Read a window of the map: labels (rows, cols), NO_LABEL where there is none, and
        valid (rows, cols), True where there is one.
        """


@contextmanager
def open_labels_onto(
    path: Path,
    grid: RasterProfile,
    *,
    unlabelled: int | None = None,
    class_field: str | None = None,
    numbers: Mapping[str, int] | None = None,
    layer: str | None = None,
    background: int | None = None,
) -> Iterator[Labels]:
    """Open labels, raster or vector, to be read on the grid of a map.

    Args:
        path: raster of class numbers, or vectors (by suffix).
        grid: the map's profile.
        unlabelled: label value that means no label, beside the file's own nodata; None takes
            ``UNLABELLED`` in 8-bit rasters.
        class_field: of vectors, see `clusternet.vectors.read_shapes`.
        numbers: of vectors, the class number of each name.
        layer: of vectors.
        background: of vectors, the class of pixels under no shape; None leaves them unlabelled.

    Raises:
        GridMismatchError: if the two cannot be laid over each other: only one has a CRS, or
            neither has and their sizes differ.
        LabelError: if the file holds no labels, or values that are no class numbers.
        RasterError: if a raster cannot be read.
    """
    if is_vector(path):
        shapes = read_shapes(path, class_field=class_field, numbers=numbers, layer=layer)
        yield BurntLabels(shapes, grid, unlabelled=unlabelled, background=background)
        return
    with open_raster(path, codes=True) as raster:
        profile = raster.profile
        if profile.num_bands != 1:
            raise LabelError(
                f"{path}: expected one band of class numbers, found {profile.num_bands} bands; "
                "is this an image, or a coloured picture of labels?"
            )
        names = read_categories(path)[0]
        if unlabelled is None and profile.dtype == "uint8":
            unlabelled = UNLABELLED
        if on_same_grid(profile, grid):
            yield RasterLabels(raster, names, unlabelled)
            return
        with warped_onto(profile, grid) as view:
            yield RasterLabels(
                view, names, unlabelled, path=path, overlaps=boxes_meet(profile, grid)
            )


class RasterLabels:
    """Labels from a raster that is, or was brought, on the map's grid."""

    def __init__(
        self,
        raster: Raster,
        names: Mapping[int, str],
        unlabelled: int | None = None,
        *,
        path: Path | None = None,
        overlaps: bool = True,
    ) -> None:
        """Wrap an open raster; ``path`` is the file where the raster is only a view of it."""
        self.path = path or raster.profile.path
        self.overlaps = overlaps
        self.names = names
        self._raster = raster
        self._unlabelled = unlabelled

    def read(self, window: Window) -> tuple[IntArray, BoolArray]:
        """See `Labels.read`."""
        pixels, valid = self._raster.read(window)
        values = pixels[..., 0]
        if self._unlabelled is not None:
            valid &= values != self._unlabelled
        found = values[valid]
        if found.size:
            _check_class_numbers(self.path, found)
        labels = np.full(window.shape, NO_LABEL, np.int32)
        labels[valid] = found
        return labels, valid


class BurntLabels:
    """Labels burnt from shapes."""

    def __init__(
        self,
        shapes: Shapes,
        grid: RasterProfile,
        *,
        unlabelled: int | None = None,
        background: int | None = None,
        all_touched: bool = False,
    ) -> None:
        """Bring shapes into the CRS of ``grid``; see `open_labels_onto`."""
        crs = None if grid.crs is None else grid.crs.to_wkt()
        shapes = shapes.onto(crs, str(grid.path))
        self.path = shapes.path
        self.names = shapes.names
        self._transform = drawing_transform(shapes, grid)
        self._classes = shapes.classes
        self._geometries = shapes.geometries
        self._tree = shapely.STRtree(shapes.geometries)
        self._unlabelled = unlabelled
        self._background = NO_LABEL if background is None else background
        self._all_touched = all_touched
        self.overlaps = bool(self._under(Window(0, 0, *grid.shape)).size)

    def read(self, window: Window) -> tuple[IntArray, BoolArray]:
        """See `Labels.read`."""
        found = self._under(window)
        burns = [(self._geometries[i], int(self._classes[i])) for i in found]
        if burns:
            labels: IntArray = rasterize(
                burns, window.shape, fill=self._background, dtype="int32",
                transform=self._transform @ Affine.translation(window.col, window.row),
                all_touched=self._all_touched,
            )  # fmt: skip
        else:
            labels = np.full(window.shape, self._background, np.int32)
        if self._unlabelled is not None:
            labels[labels == self._unlabelled] = NO_LABEL
        return labels, labels != NO_LABEL

    def _under(self, window: Window) -> AnyArray:
        """Return the indices of the shapes that may touch a window, in burning order."""
        place = self._transform @ Affine.translation(window.col, window.row)
        corners = [(0, 0), (window.width, 0), (0, window.height), (window.width, window.height)]
        box = shapely.MultiPoint([place @ corner for corner in corners]).envelope
        return np.sort(self._tree.query(box))


def read_categories(path: Path) -> tuple[dict[int, str], dict[int, RGB]]:
    """Return the class names (from ``<path>.aux.xml``) and colours of a raster, where it has them.

    Names that are missing or empty are left out.
    """
    names: dict[int, str] = {}
    side_file = path.with_name(path.name + ".aux.xml")
    if side_file.is_file():
        try:
            # a side file of GDAL; the standard library's parser resolves no external entities
            root = ElementTree.parse(side_file).getroot()  # noqa: S314
        except (ElementTree.ParseError, OSError) as error:
            raise LabelError(f"{side_file}: cannot be read ({error}); delete it.") from error
        entries = root.findall("./PAMRasterBand[@band='1']/CategoryNames/Category")
        names = {value: entry.text for value, entry in enumerate(entries) if entry.text}
    colours: dict[int, RGB] = {}
    with open_dataset(path) as dataset:
        if dataset.colorinterp[0] == ColorInterp.palette:
            colours = {value: colour[:3] for value, colour in dataset.colormap(1).items()}
    return names, colours


def _check_class_numbers(path: Path, values: AnyArray) -> None:
    if values.dtype.kind == "f" and (values % 1 != 0).any():
        raise LabelError(
            f"{path}: holds the value {values[values % 1 != 0][0]}; expected whole class numbers."
        )
    for value in (values.min(), values.max()):
        if not 0 <= value <= MAX_CLASS:
            raise LabelError(
                f"{path}: holds the label {int(value)}; expected 0 to {MAX_CLASS}. If it means "
                f"no label, declare it as nodata (gdal_edit -a_nodata {int(value)})."
            )
