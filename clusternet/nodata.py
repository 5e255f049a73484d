"""What marks pixels without data: a value, the rule how many bands must hold it, and screens."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from clusternet.scene_rule import EACH_FILE, SceneRule

Number = int | float
"""A pixel value; whole numbers stay int, because a float cannot hold all 64-bit ones."""
NodataRule = Literal["any", "all"]
"""``any``: a pixel is nodata if any band is; ``all``: only if all bands are."""
NODATA_RULES: tuple[NodataRule, ...] = ("any", "all")


@dataclass(frozen=True)
class NodataChoice:
    """The nodata value and rule that a user chooses for rasters."""

    value: Number | None = None
    """Nodata value of all bands; None takes that of the raster."""
    rule: NodataRule | None = None
    """See `NodataRule`; None takes `default_rule`."""
    overrides: bool = True
    """True: the value replaces that of the raster. False: it counts only if the raster has none."""
    scene: SceneRule = EACH_FILE
    """How scenes are put together from files, and what hides clouds."""
    aoi: Path | None = None
    """File of polygons; pixels outside are nodata. None takes all."""

    @classmethod
    def of(cls, value: NodataChoice | Number | None) -> NodataChoice:
        """Return a choice unchanged; a number or None becomes the choice of that value."""
        return value if isinstance(value, NodataChoice) else cls(value)

    @property
    def of_pixels(self) -> NodataChoice:
        """The choice for pixels that come from no file, such as an array."""
        return replace(self, scene=EACH_FILE, aoi=None)


def default_rule(dtype: str, values: Sequence[Number | None]) -> NodataRule:
    """Return the rule for a raster if the user chooses none.

    It is ``any``, because a value such as -9999 in a single band would spoil every statistic. It
    is ``all`` for 8-bit rasters whose bands share a nodata value, most often 0. There single zeros
    are common in dark areas, and the frame of the image is black in all bands. (GDAL's mask of a
    whole dataset follows ``all`` for every pixel type.)

    Args:
        dtype: numpy name of the pixel type.
        values: nodata value of each band, None for a band that has none.
    """
    is_shared = len({str(value) for value in values}) == 1 and values[0] is not None
    return "all" if dtype == "uint8" and is_shared else "any"


def declaring_hint(path: object, value: Number, declared: Number | None) -> str:
    """Return advice for a message: how to declare a value that marks pixels without data."""
    if declared is not None:  # a band has only one nodata value, which a new one would replace
        return f"change it to {declared}, the nodata value of the file"
    return f"declare it (rio edit-info --nodata {value} {shlex.quote(str(path))})"


def number(text: str) -> Number:
    """Read a number from text; whole numbers are exact.

    Raises:
        ValueError: if the text is no number.
    """
    try:
        return int(text)
    except ValueError:
        return float(text)


def check_rule(value: Any) -> NodataRule | None:
    """Return a rule that was read from a file.

    Raises:
        ValueError: if it is no rule.
    """
    if value is None:
        return None
    for rule in NODATA_RULES:
        if value == rule:
            return rule
    raise ValueError(f"expected one of {', '.join(NODATA_RULES)}, received {value}")


def encode_number(value: Number | None) -> Number | str | None:
    """Return a number for JSON; NaN and infinity, which JSON lacks, become text."""
    return str(value) if value is not None and not math.isfinite(value) else value


def decode_number(value: Any) -> Number | None:
    """Return the number that `encode_number` encoded.

    Raises:
        ValueError: if the value is no number.
        TypeError: if the value is no number.
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return float(value)
