"""From class maps to polygons, window by window."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes as outlines
from rasterio.features import sieve as sieve_array
from shapely.geometry import shape as to_geometry

from clusternet.processes.waiting import run_aside
from clusternet.raster.opening import open_raster
from clusternet.raster.profile import RasterProfile
from clusternet.raster.reading import Raster
from clusternet.types import AnyArray, BoolArray, IntArray
from clusternet.windows import Window, blocks

logger = logging.getLogger(__name__)

_WHOLE_MAP_PIXELS = 100_000_000  # a map of this size is polygonised in one piece: a few GB
_POLYGON_WINDOW = (8192, 8192)


@dataclass(frozen=True)
class Polygons:
    """Polygons of one window of a class map."""

    geometries: AnyArray
    """(polygons,) shapely polygons, in the map's CRS."""
    classes: IntArray
    """(polygons,) class of each."""
    area_ha: NDArray[np.float64] | None
    """(polygons,) hectares; None unless the CRS is projected."""

    def split(self, size: int) -> Iterator[Polygons]:
        """Yield parts of so many polygons at most; an empty one if there is none."""
        for first in range(0, max(len(self.classes), 1), size):
            place = slice(first, first + size)
            hectares = None if self.area_ha is None else self.area_ha[place]
            yield Polygons(self.geometries[place], self.classes[place], hectares)


def polygonise(
    path: Path, *, sieve: int = 0, min_area: int = 0, simplify: float = 0.0
) -> Iterator[Polygons]:
    """Turn the patches of equal class of a map into polygons.

    Maps above 100 million pixels are cut into windows, and polygons with them.

    Args:
        path: a class map; nodata gives no polygon.
        sieve: patches of fewer pixels first take the class of their largest neighbour.
        min_area: polygons of fewer pixels are left out.
        simplify: tolerance in pixels; borders between polygons stay common.
    """
    with open_raster(path, codes=True) as raster:
        rows, cols = raster.profile.shape
        whole = rows * cols <= _WHOLE_MAP_PIXELS
        if not whole:
            logger.warning(
                "%s: polygons are cut at the borders of windows of %d x %d pixels, because the "
                "map is too large for one piece.", path, *_POLYGON_WINDOW,
            )  # fmt: skip
        for window in blocks((rows, cols), (rows, cols) if whole else _POLYGON_WINDOW):
            yield _polygonise_window(raster, window, sieve, min_area, simplify, whole)


def _polygonise_window(
    raster: Raster, window: Window, sieve: int, min_area: int, simplify: float, whole: bool
) -> Polygons:
    pixels, valid = raster.read(window)
    geometries, classes = run_aside(
        partial(_outline, pixels[..., 0], valid, sieve, min_area, simplify, whole)
    )
    hectares = raster.profile.pixel_area_ha
    return Polygons(
        geometries=_to_coordinates(geometries, raster.profile, window),
        classes=classes,
        area_ha=None if hectares is None else np.asarray(shapely.area(geometries)) * hectares,
    )


def _outline(
    values: AnyArray, valid: BoolArray, sieve: int, min_area: int, simplify: float, whole: bool
) -> tuple[AnyArray, IntArray]:
    """Return polygons (polygons,) in columns and rows, and the class of each (polygons,)."""
    if sieve > 1:
        values = sieve_array(values, sieve, mask=valid, connectivity=4)
    found = list(outlines(values, mask=valid, connectivity=4))
    geometries = np.array([to_geometry(outline) for outline, _ in found], object)
    classes = np.array([value for _, value in found], np.int32)
    large = np.asarray(shapely.area(geometries)) >= min_area
    if simplify > 0 and len(geometries):
        # Before small ones go, so that their neighbours' borders are simplified all the same;
        # at the cut of a window borders stay as they are, to fit the next window's.
        geometries = shapely.coverage_simplify(geometries, simplify, simplify_boundary=whole)
    return shapely.make_valid(geometries[large]), classes[large]


def _to_coordinates(geometries: AnyArray, grid: RasterProfile, window: Window) -> AnyArray:
    """Move geometries from (col, row) of a window to the coordinates of the raster."""
    place = grid.window_transform(window)
    if not grid.is_georeferenced:
        # GIS programs draw a raster without georeference downwards from y = 0
        place = Affine.scale(1, -1) @ place
    matrix = np.array([[place.a, place.b], [place.d, place.e]])
    shift = np.array([place.c, place.f])
    moved: AnyArray = shapely.transform(geometries, lambda xy: xy @ matrix.T + shift)
    return moved
