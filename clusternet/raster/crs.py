"""What a CRS is: whether it lies on Earth, its name, and where its points lie in another one."""

from __future__ import annotations

import math
import re

import numpy as np
import rasterio
from pyproj import CRS as ProjCRS
from rasterio.crs import CRS
from rasterio.warp import transform

from clusternet.foreign_errors import is_foreign
from clusternet.types import AnyArray

_NAME = re.compile(r'^\w+\["([^"]*)"')
_LOCAL = ("LOCAL_CS", "ENGCRS", "ENGINEERINGCRS")
_VERTICAL = ("VERT_CS", "VERTCRS", "VERTICALCRS")


def wkt_of(crs: CRS) -> str:
    """Return the definition of a CRS that loses nothing."""
    return str(crs.to_wkt(version="WKT2_2019"))


def crs_name(crs: CRS | None) -> str:
    """Return what a CRS is called, for messages: its number, or else its name."""
    if crs is None:
        return "none"
    authority = crs.to_authority()
    if authority is not None:
        return ":".join(authority)
    found = _NAME.match(wkt_of(crs))
    return f"'{found[1]}'" if found else "one without name"


def same_crs_text(crs: CRS) -> str:
    """Return ``EPSG:...`` where that is exactly the CRS, else its definition."""
    authority = crs.to_authority()
    if authority is not None:
        text = ":".join(authority)
        if CRS.from_user_input(text) == crs:
            return text
    return wkt_of(crs)


def stated(crs: CRS | None) -> CRS | None:
    """Return a CRS, or None where it says that there is none, as GeoPackage does."""
    if crs is None or not crs.wkt:
        return None
    return None if crs_name(crs).strip("'").lower().startswith("undefined") else crs


def is_local(crs: CRS | None) -> bool:
    """Tell whether a CRS is a plane whose place on Earth is not known."""
    return stated(crs) is not None and wkt_of(crs).startswith((*_LOCAL, *_VERTICAL))


def is_on_earth(crs: CRS | None) -> bool:
    """Tell whether a CRS is stated and says where on Earth its coordinates lie."""
    return stated(crs) is not None and not is_local(crs)


def horizontal(crs: CRS) -> CRS:
    """Return a CRS without heights, which do not matter for where a pixel lies."""
    try:
        flat = ProjCRS.from_wkt(wkt_of(crs)).to_2d()
        return CRS.from_wkt(flat.to_wkt()) if len(flat.axis_info) == 2 else crs
    except Exception as error:
        if not is_foreign(error):
            raise
        return crs


def full_turn(crs: CRS | None) -> float | None:
    """Return 360 degrees in the units of a geographic CRS, None for others."""
    if crs is None or not crs.is_geographic:
        return None
    radians = ProjCRS.from_wkt(wkt_of(crs)).axis_info[0].unit_conversion_factor
    return 2 * math.pi / radians if radians else None


def moved_points(points: AnyArray, source: CRS, target: CRS) -> AnyArray:
    """Bring points from one CRS into another; (points, 2) x and y, infinite where impossible."""
    source, target = horizontal(source), horizontal(target)
    if source == target or not len(points):
        return points
    try:
        with rasterio.Env():  # or GDAL prints what it complains of
            xs, ys = transform(source, target, *points.T.tolist())
    except Exception as error:
        if not is_foreign(error):
            raise
        return np.full(points.shape, np.inf)
    return np.stack([np.array(xs, float), np.array(ys, float)], axis=1)


def near_turn(values: AnyArray, to: float, turn: float) -> AnyArray:
    """Return longitudes with as many full turns added as bring each nearest to another one."""
    return np.asarray(values - turn * np.rint((values - to) / turn))


def turns_between(values: AnyArray, target: AnyArray, turn: float) -> list[float]:
    """Return the full turns that bring some of a range of longitudes into another range."""
    values, target = values[np.isfinite(values)], target[np.isfinite(target)]
    if not values.size or not target.size:
        return []
    touch = 1e-9  # of a turn: ranges that only touch have nothing in common
    first = math.ceil((target.min() - values.max()) / turn + touch)
    last = math.floor((target.max() - values.min()) / turn - touch)
    return [turn * number for number in range(first, last + 1)]
