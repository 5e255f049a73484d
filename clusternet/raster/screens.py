"""Screens: which pixels of a raster count, beside what the raster says itself.

A quality band hides clouds, the masks of separate band files hide what these lack, and an area of
interest hides all that lies outside. `Raster.read` asks them first: where nothing counts, no pixel
is read.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import shapely
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from clusternet.errors import GridMismatchError, LabelError
from clusternet.raster.burning import BurntLabels
from clusternet.raster.gdal_messages import whole_read
from clusternet.raster.profile import RasterProfile
from clusternet.raster.shapes import Shapes, read_shapes
from clusternet.scene_rule import QualityValues
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Window

logger = logging.getLogger(__name__)


class Screen(Protocol):
    """Tells which pixels of a raster count."""

    def shown(self, window: Window) -> BoolArray:
        """Return True for the pixels of a window inside the raster that count; (rows, cols)."""


class BandScreen:
    """Hides the pixels where a quality band, on the grid of the raster, has certain values."""

    def __init__(
        self, dataset: DatasetReader, number: int, values: QualityValues, path: Path
    ) -> None:
        """Take band ``number``, from 1, of an open dataset; ``path`` is its name in messages."""
        self._dataset, self._number, self._values, self._path = dataset, number, values, path

    def shown(self, window: Window) -> BoolArray:
        """See `Screen.shown`."""
        where = RasterioWindow(window.col, window.row, window.width, window.height)
        failed = f"{self._path}: its quality band cannot be read"
        with whole_read(failed, "the file seems to be cut off or damaged."):
            values = self._dataset.read(self._number, window=where)
        return ~marked_pixels(values, self._values)


def marked_pixels(values: AnyArray, marks: QualityValues) -> BoolArray:
    """Return which pixels of a quality band have one of certain values or bits."""
    marked = np.zeros(values.shape, np.bool_)
    for first, last in marks.ranges:
        marked |= (values >= first) & (values <= last)
    if marks.bits and values.dtype.kind in "iu":
        mask = sum(1 << bit for bit in marks.bits)
        marked |= (values.astype(np.uint64) & np.uint64(mask)) != 0
    return marked


HAS_NO_DATA = QualityValues(((0, 0),))
"""The values of a mask band that hide a pixel."""


class AreaScreen:
    """Hides all pixels whose centre lies in no polygon of a file."""

    def __init__(self, path: Path, grid: RasterProfile) -> None:
        """Lay the polygons over a raster, whatever their CRS.

        Raises:
            LabelError: if the file cannot be read, or holds anything but polygons.
            GridMismatchError: if the two have no coordinates in common.
        """
        self._burnt = BurntLabels(read_area(path), grid)

    @property
    def overlaps(self) -> bool:
        """True if a polygon lies on the raster."""
        return self._burnt.touches

    def shown(self, window: Window) -> BoolArray:
        """See `Screen.shown`."""
        return self._burnt.read(window)[1]


def inside_area(profiles: Sequence[RasterProfile], path: Path | None) -> list[bool]:
    """Tell of each raster whether the polygons of a file lie on it; log how many are outside.

    Args:
        profiles: of the rasters.
        path: the file of polygons; None stands for everywhere.

    Raises:
        LabelError: if the polygons cannot be read.
        GridMismatchError: if they lie on none of the rasters.
    """
    if path is None or not profiles:
        return [True] * len(profiles)
    inside = [AreaScreen(path, profile).overlaps for profile in profiles]
    if not any(inside):
        others = f", nor on {len(profiles) - 1} more" if profiles[1:] else ""
        raise GridMismatchError(
            f"{path}: none of its polygons, for --aoi, lies on {profiles[0].path}{others}; is the "
            "CRS of both stated correctly?"
        )
    if not all(inside):
        logger.info("%d raster(s) lie outside of %s and are left out", inside.count(False), path)
    return inside


def read_area(path: Path) -> Shapes:
    """Read the polygons of an area of interest; each file once.

    Raises:
        LabelError: if it cannot be read, or holds anything but polygons.
    """
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        changed = 0  # reading it says why
    return _read_area(path, changed)


@lru_cache(maxsize=8)
def _read_area(path: Path, _changed: int) -> Shapes:
    shapes = read_shapes(path, burn_value=1)
    kinds = {geometry.geom_type for geometry in shapes.geometries}
    if not kinds <= {"Polygon", "MultiPolygon"} or shapely.area(shapes.geometries).max() <= 0:
        raise LabelError(
            f"{path}: expected polygons, for --aoi, found {', '.join(sorted(kinds))}; draw areas."
        )
    return shapes
