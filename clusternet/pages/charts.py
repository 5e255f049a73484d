"""Lines of small charts, as SVG that a page holds in itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A line in a box of a width and a height."""

    points: str
    """The attribute of an SVG polyline: x and y of each value, y downwards."""
    low: float
    """The value at the bottom of the box."""
    high: float
    """The value at the top."""


def line(
    values: Sequence[float], size: tuple[float, float], *, ends: tuple[float, float] | None = None
) -> Line:
    """Return values as a line from the left to the right of a box.

    Args:
        values: evenly spaced; those that are no numbers are left out.
        size: (width, height) of the box.
        ends: the values at its bottom and its top; None takes the lowest and the highest.
    """
    known = [value for value in values if math.isfinite(value)]
    low, high = ends or (min(known, default=0.0), max(known, default=0.0))
    width, height = size
    step = width / max(len(values) - 1, 1)
    start = 0.0 if len(values) > 1 else width / 2
    span = high - low
    points = [
        (start + step * index, height * (1 - (value - low) / span) if span else height / 2)
        for index, value in enumerate(values)
        if math.isfinite(value)
    ]
    return Line(" ".join(f"{x:.1f},{y:.1f}" for x, y in points), low, high)
