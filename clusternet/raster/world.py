"""Places of a raster on Earth: longitude and latitude, Web Mercator, metres."""

from __future__ import annotations

import math

import numpy as np
from rasterio.crs import CRS

from clusternet.raster.crs import is_on_earth, moved_points
from clusternet.raster.profile import RasterProfile
from clusternet.types import AnyArray

_LONLAT, _MERCATOR = 4326, 3857  # EPSG
_METRES_A_DEGREE = math.radians(1) * 6_371_008.8  # of the mean sphere


def is_placed(profile: RasterProfile) -> bool:
    """Tell whether the place of each pixel on Earth is known."""
    return profile.is_georeferenced and is_on_earth(profile.crs)


def lonlat_to_pixel(profile: RasterProfile, longitude: float, latitude: float) -> AnyArray:
    """Return (col, row) of a place; infinite where the CRS of the raster does not reach."""
    point = np.array([[longitude, latitude]], float)
    x, y = moved_points(point, CRS.from_epsg(_LONLAT), profile.crs)[0]
    if not np.isfinite((x, y)).all():
        return np.array((np.inf, np.inf))
    return np.array(~profile.transform @ (x, y))


def mercator_lattice(profile: RasterProfile, side: int) -> AnyArray:
    """Return Web Mercator coordinates of evenly spaced points of a raster; (side, side, 2)."""
    rows, cols = np.meshgrid(
        np.linspace(0, profile.shape[0], side), np.linspace(0, profile.shape[1], side),
        indexing="ij",
    )  # fmt: skip
    t = profile.transform
    xs, ys = t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f
    points = np.stack([xs.ravel(), ys.ravel()], axis=1)
    points = moved_points(points, profile.crs, CRS.from_epsg(_MERCATOR))
    return points.reshape(side, side, 2)


def pixel_metres(profile: RasterProfile) -> float | None:
    """Return the side of a pixel in metres, in the middle of the raster; None without a CRS."""
    hectares = profile.pixel_area_ha
    if hectares is not None:
        return float((hectares * 10_000) ** 0.5)
    if profile.crs is None or not is_placed(profile) or not profile.crs.is_geographic:
        return None
    rows, cols = profile.shape
    latitude = (profile.transform @ (cols / 2, rows / 2))[1]
    degrees = abs(profile.transform.determinant) ** 0.5
    shrunk = max(math.cos(math.radians(latitude)), 1e-3)  # degrees of longitude are
    return float(degrees * _METRES_A_DEGREE * shrunk**0.5)
