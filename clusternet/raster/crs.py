"""Properties of a CRS (name, local or on Earth, geographic) and reprojection of points."""

from __future__ import annotations

import math
import re

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.warp import transform

from clusternet.errors import RasterError
from clusternet.foreign_errors import converted, is_foreign
from clusternet.messages import short
from clusternet.types import AnyArray

_NAME = re.compile(r'^\w+\["([^"]*)"')
_LOCAL = ("LOCAL_CS", "ENGCRS", "ENGINEERINGCRS")
_VERTICAL = ("VERT_CS", "VERTCRS", "VERTICALCRS")


def wkt_of(crs: CRS) -> str:
    """Return the definition of a CRS as WKT2; the older WKT1 cannot express every CRS."""
    return str(crs.to_wkt(version="WKT2_2019"))


def crs_name(crs: CRS | None) -> str:
    """Return the EPSG number of a CRS, or else its name, for messages."""
    if crs is None:
        return "none"
    authority = crs.to_authority()
    if authority is not None:
        return ":".join(authority)
    name = _NAME.match(wkt_of(crs))
    return f"'{name[1]}'" if name else "one without name"


def same_crs_text(crs: CRS) -> str:
    """Return ``EPSG:...`` if that is exactly this CRS, else its definition as WKT."""
    authority = crs.to_authority()
    if authority is not None:
        text = ":".join(authority)
        if CRS.from_user_input(text) == crs:
            return text
    return wkt_of(crs)


def crs_of_text(text: str) -> CRS:
    """Return the CRS that `same_crs_text` wrote.

    Raises:
        RasterError: if it is none that GDAL knows.
    """
    with converted(RasterError, f"{short(text)}: is no coordinate reference system"):
        return CRS.from_user_input(text)


def stated(crs: CRS | None) -> CRS | None:
    """Return a CRS, or None for an "undefined" one, which GeoPackage writes instead of none."""
    if crs is None or not crs.wkt:
        return None
    return None if crs_name(crs).strip("'").lower().startswith("undefined") else crs


def is_local(crs: CRS | None) -> bool:
    """Tell whether a CRS is a local plane whose position on Earth is not known."""
    return stated(crs) is not None and wkt_of(crs).startswith((*_LOCAL, *_VERTICAL))


def is_on_earth(crs: CRS | None) -> bool:
    """Tell whether a CRS is stated and defines positions on Earth."""
    return stated(crs) is not None and not is_local(crs)


def horizontal(crs: CRS) -> CRS:
    """Return a CRS without its vertical axis, because pixels have no heights."""
    from pyproj import CRS as ProjCRS  # here, because it takes long to load

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
    from pyproj import CRS as ProjCRS

    # some CRSs, such as the French NTF (Paris), have grads and not degrees
    radians = ProjCRS.from_wkt(wkt_of(crs)).axis_info[0].unit_conversion_factor
    return 2 * math.pi / radians if radians else None


def moved_points(points: AnyArray, source: CRS, target: CRS) -> AnyArray:
    """Reproject points; (points, 2) of x and y, infinite where PROJ cannot."""
    source, target = horizontal(source), horizontal(target)
    if source == target or not len(points):
        return points
    try:
        with rasterio.Env():  # without it GDAL prints its errors to stderr
            xs, ys = transform(source, target, *points.T.tolist())
    except Exception as error:
        if not is_foreign(error):
            raise
        return np.full(points.shape, np.inf)
    return np.stack([np.array(xs, float), np.array(ys, float)], axis=1)


def near_turn(values: AnyArray, to: float, turn: float) -> AnyArray:
    """Return longitudes with full turns added, so that each is as near as possible to ``to``."""
    return np.asarray(values - turn * np.rint((values - to) / turn))


def turns_between(values: AnyArray, target: AnyArray, turn: float) -> list[float]:
    """Return the full turns that shift a range of longitudes so that it overlaps another range."""
    values, target = values[np.isfinite(values)], target[np.isfinite(target)]
    if not values.size or not target.size:
        return []
    touch = 1e-9  # in turns: ranges that only touch do not overlap
    first = math.ceil((target.min() - values.max()) / turn + touch)
    last = math.floor((target.max() - values.min()) / turn - touch)
    return [turn * number for number in range(first, last + 1)]
