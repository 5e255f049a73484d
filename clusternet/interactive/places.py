"""Places on a scene that a person types, in one of several systems of coordinates."""

from __future__ import annotations

import math
import re
from enum import Enum

from clusternet.errors import LabelError
from clusternet.messages import short_value
from clusternet.raster import RasterProfile
from clusternet.raster.world import is_placed, lonlat_to_pixel

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_APART = re.compile(r"[\s,;°]*")


class System(Enum):
    """A system of coordinates; the value is its name on the page."""

    CRS = "x, y of the raster's CRS"
    LONLAT = "longitude, latitude (WGS 84, degrees)"
    LATLON = "latitude, longitude (WGS 84, degrees)"
    PIXEL = "row, column"


def systems(profile: RasterProfile) -> list[System]:
    """Return the systems in which places of a raster can be typed, the usual one first."""
    found = [System.CRS] if profile.is_georeferenced else []
    if is_placed(profile):
        found += [System.LONLAT, System.LATLON]
    return [*found, System.PIXEL]


def find_place(text: str, system: System, profile: RasterProfile) -> tuple[float, float]:
    """Return the (row, col) of a place that was typed.

    Raises:
        LabelError: if the text is not two numbers, or the place does not lie on the raster.
    """
    numbers = [float(number) for number in _NUMBER.findall(text)]
    if len(numbers) != 2 or not _APART.fullmatch(_NUMBER.sub("", text)):
        raise LabelError(
            f"Expected two numbers such as 448100.5, 5411900 ({system.value}), "
            f"found {short_value(text) or 'nothing'}."
        )
    row, col = _pixel(numbers[0], numbers[1], system, profile)
    rows, cols = profile.shape
    if not (0 <= row <= rows and 0 <= col <= cols):
        raise LabelError(f"That place is not on the scene ({system.value}).")
    return row, col


def _pixel(
    first: float, second: float, system: System, profile: RasterProfile
) -> tuple[float, float]:
    if system is System.PIXEL:
        return first + 0.5, second + 0.5  # the middle of the pixel
    if system is System.CRS:
        col, row = ~profile.transform @ (first, second)
    else:
        lonlat = (first, second) if system is System.LONLAT else (second, first)
        col, row = lonlat_to_pixel(profile, *lonlat)
    return (row, col) if math.isfinite(row) and math.isfinite(col) else (-1.0, -1.0)
