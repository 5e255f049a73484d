"""Turn class maps into polygons, window by window."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes as outlines
from rasterio.features import sieve as sieve_array
from shapely import MultiPolygon
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
        """Yield groups of at most ``size`` polygons; one empty group if there are none."""
        for first in range(0, max(len(self.classes), 1), size):
            group = slice(first, first + size)
            hectares = None if self.area_ha is None else self.area_ha[group]
            yield Polygons(self.geometries[group], self.classes[group], hectares)


def polygonise(
    path: Path, *, sieve: int = 0, min_area: int = 0, simplify: float = 0.0
) -> Generator[Polygons, None, None]:
    """Turn the patches of equal class of a map into polygons.

    Maps above 100 million pixels are read in windows, and polygons end at their borders.

    Args:
        path: a class map; nodata gives no polygon.
        sieve: areas of fewer pixels first take the class of their largest neighbour.
        min_area: polygons of fewer pixels are left out.
        simplify: tolerance in pixels; neighbouring polygons keep a common border.
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
    """Return polygons (polygons,) in (col, row) coordinates, and the class of each (polygons,)."""
    if sieve > 1:
        values = sieve_array(values, sieve, mask=valid, connectivity=4)
    # With connectivity 8, polygons would touch themselves at corners, which is invalid in GIS.
    outlined = list(outlines(values, mask=valid, connectivity=4))
    geometries = np.array([to_geometry(outline) for outline, _ in outlined], object)
    classes = np.array([value for _, value in outlined], np.int32)
    large = np.asarray(shapely.area(geometries)) >= min_area
    if simplify > 0 and len(geometries):
        # Within a window the outer edges of the coverage stay unchanged, so that they fit those of
        # the next window. Small polygons are left out only afterwards: the edges next to them
        # would else be outer edges.
        geometries = shapely.coverage_simplify(geometries, simplify, simplify_boundary=whole)
    return shapely.make_valid(geometries[large]), classes[large]


def outline_of(inside: BoolArray) -> MultiPolygon:
    """Return the outline of the true pixels of (rows, cols), in (col, row) coordinates."""
    polygons = _outline(inside.astype(np.uint8), inside, 0, 0, 0.0, True)[0]
    return MultiPolygon(shapely.get_parts(polygons).tolist())


def _to_coordinates(geometries: AnyArray, grid: RasterProfile, window: Window) -> AnyArray:
    """Move geometries from (col, row) of a window to the coordinates of the raster."""
    transform = grid.window_transform(window)
    if not grid.is_georeferenced:
        # GIS programs show a raster without georeference with y = -row, below y = 0
        transform = Affine.scale(1, -1) @ transform
    matrix = np.array([[transform.a, transform.b], [transform.d, transform.e]])
    shift = np.array([transform.c, transform.f])
    moved: AnyArray = shapely.transform(geometries, lambda xy: xy @ matrix.T + shift)
    return moved
