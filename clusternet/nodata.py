"""Which values mark pixels without data, and how many bands must hold them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Number = int | float
"""A value of a pixel; whole numbers are kept as such, since 64-bit ones do not fit a float."""
NodataRule = Literal["any", "all"]
"""A pixel has no data where any band has none, or only where all bands have none."""
NODATA_RULES: tuple[NodataRule, ...] = ("any", "all")


@dataclass(frozen=True)
class NodataChoice:
    """What is said of nodata beside what a raster says of itself."""

    value: Number | None = None
    """Marks pixels without data in every band; None leaves it to the raster."""
    rule: NodataRule | None = None
    """See `NodataRule`; None takes `default_rule`."""
    overrides: bool = True
    """The value counts instead of what a raster declares; False: only where it declares nothing."""

    @classmethod
    def of(cls, value: NodataChoice | Number | None) -> NodataChoice:
        """Take a plain number for one that the user gave."""
        return value if isinstance(value, NodataChoice) else cls(value)


def default_rule(dtype: str, values: Sequence[Number | None]) -> NodataRule:
    """Return the rule that holds where nobody asked for another.

    One band without data is enough, since a marker such as -9999 in a single band would spoil
    every statistic. In 8-bit rasters that give all bands the same value (most often 0) all bands
    must hold it: single zeros are common in dark places there, and a frame is black in all of
    them. GDAL's mask of a whole dataset takes all bands for any type.

    Args:
        dtype: numpy name of the pixel type.
        values: nodata value of each band, None for a band that has none.
    """
    is_shared = len({str(value) for value in values}) == 1 and values[0] is not None
    return "all" if dtype == "uint8" and is_shared else "any"


def declaring_hint(path: object, value: Number, declared: Number | None) -> str:
    """Return what to do about a value that means no data but is not declared, for a message."""
    if declared is not None:  # a band has one value, and declaring another would lose this one
        return f"change it to {declared}, the nodata value of the file"
    return f"declare it (rio edit-info --nodata {value} {shlex.quote(str(path))})"


def number(text: str) -> Number:
    """Read a number from text; a whole one exactly, however large.

    Raises:
        ValueError: if it is none.
    """
    try:
        return int(text)
    except ValueError:
        return float(text)


def check_rule(value: Any) -> NodataRule | None:
    """Return a rule as read from a file.

    Raises:
        ValueError: if it is none.
    """
    if value is None:
        return None
    for rule in NODATA_RULES:
        if value == rule:
            return rule
    raise ValueError(f"expected one of {', '.join(NODATA_RULES)}, received {value}")


def encode_number(value: Number | None) -> Number | str | None:
    """Return a number as JSON can hold it, which knows no NaN and no infinity."""
    return str(value) if value is not None and not math.isfinite(value) else value


def decode_number(value: Any) -> Number | None:
    """Return what `encode_number` was given.

    Raises:
        ValueError: if it is no number.
        TypeError: likewise.
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return float(value)
