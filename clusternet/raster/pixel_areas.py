"""Areas of pixels: from the CRS, or on the ellipsoid where the CRS is geographic."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from pyproj import CRS as ProjCRS
from pyproj import Geod, Transformer

from clusternet.foreign_errors import is_foreign
from clusternet.metrics import Values
from clusternet.raster.crs import crs_name, is_on_earth, wkt_of
from clusternet.raster.profile import RasterProfile
from clusternet.windows import Window

logger = logging.getLogger(__name__)

_SQUARE_METRES = 10_000.0  # of a hectare
_TOLERATED = 0.02  # difference of areas in a projection and on the ellipsoid


@dataclass(frozen=True)
class PixelAreas:
    """The area of the pixels of a raster, which may differ from row to row."""

    unit: str
    """``ha``, or ``pixels`` where the CRS does not tell sizes."""
    rows: Values
    """(rows,) area of a pixel in each row; (1,) if all rows are alike."""

    def of(self, window: Window) -> Values:
        """Return the area of a pixel in each row of a window; (rows, 1) or (1, 1)."""
        if len(self.rows) == 1:
            return self.rows[:, None]
        return self.rows[window.row : window.row + window.height, None]


def pixel_areas(profile: RasterProfile) -> PixelAreas:
    """Return the areas of the pixels of a raster.

    In a projected CRS all pixels have one area. A warning says how far it differs from the area on
    the ellipsoid in the middle of the raster. In a geographic CRS the area is computed on the
    ellipsoid for each row, in the middle column.
    """
    crs = profile.crs
    if crs is None or not is_on_earth(crs) or not profile.is_georeferenced:
        return PixelAreas("pixels", np.ones(1))
    rows, cols = profile.shape
    if profile.pixel_area_ha is not None:
        area = profile.pixel_area_ha
        _warn_of_distortion(profile, area)
        return PixelAreas("ha", np.array([area]))
    if not crs.is_geographic:
        return PixelAreas("pixels", np.ones(1))
    col = cols // 2
    corners = [(col, 0), (col + 1, 0), (col + 1, 1), (col, 1)]
    geod = ProjCRS.from_wkt(wkt_of(crs)).get_geod() or Geod(ellps="WGS84")
    to_degrees = float(np.degrees(crs.units_factor[1]))  # units may be grads
    areas = np.empty(rows)
    for row in range(rows):
        points = [profile.transform @ (x, y + row) for x, y in corners]
        lons, lats = zip(*points, strict=True)
        square, _ = geod.polygon_area_perimeter(
            np.array(lons) * to_degrees, np.clip(np.array(lats) * to_degrees, -90, 90)
        )
        areas[row] = abs(square) / _SQUARE_METRES
    return PixelAreas("ha", areas)


def _warn_of_distortion(profile: RasterProfile, area_ha: float) -> None:
    """Warn if areas in the projection differ from those on the ellipsoid."""
    on_earth = _area_on_earth(profile)
    if on_earth and abs(area_ha / on_earth - 1) > _TOLERATED:
        logger.warning(
            "%s: areas in %s are %.2f times those on the ground; reproject the map to "
            "an equal-area CRS before areas are published.",
            profile.path, crs_name(profile.crs), area_ha / on_earth,
        )  # fmt: skip


def _area_on_earth(profile: RasterProfile) -> float | None:
    """Return the area of the middle pixel on the ellipsoid in hectares, None if not known."""
    if profile.crs is None:
        return None
    row, col = profile.shape[0] // 2, profile.shape[1] // 2
    corners = [profile.transform @ (col + x, row + y) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    try:
        projection = ProjCRS.from_wkt(wkt_of(profile.crs))
        geographic = projection.geodetic_crs
        geod = projection.get_geod()
        if geographic is None or geod is None:
            return None
        move = Transformer.from_crs(projection, geographic, always_xy=True)
        xs, ys = np.array(corners).T
        lons, lats = move.transform(xs, ys)
        square, _ = geod.polygon_area_perimeter(lons, lats)
    except Exception as error:
        if not is_foreign(error):
            raise
        return None
    return abs(square) / _SQUARE_METRES if np.isfinite(square) else None
