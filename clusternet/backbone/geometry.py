"""Where the maps of a network lie, and which pixels they depend on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from operator import index
from typing import Any

from clusternet.windows import Shape


@dataclass(frozen=True)
class Level:
    """One feature map of a network."""

    depth: int
    """Features."""
    stride: float
    """Pixels on a side of one place of the map."""
    lost: int
    """Pixels in all, of both ends of an axis, that the map does not cover."""


@dataclass(frozen=True)
class Geometry:
    """Where the maps of a network lie, and which pixels they depend on."""

    levels: tuple[Level, ...]
    step: int
    """Shifts by multiples of it, in pixels, shift all maps. 1 with fixed windows."""
    margin: int | None
    """Pixels at the border of an image whose features depend on what lies beyond, if it begins and
    ends at multiples of ``step``; None if those of all pixels do, as with transformers."""
    window: Shape | None
    """(rows, cols) of the windows that such a network gets; None if ``margin`` is given."""

    def __post_init__(self) -> None:
        """Raise ValueError for values that no network has."""
        if not self.levels or (self.margin is None) == (self.window is None):
            raise ValueError(f"a network of {len(self.levels)} maps without margin or window")
        sizes = [self.step, *(self.window or ()), *(level.depth for level in self.levels)]
        strides = [level.stride for level in self.levels]
        if min(*sizes, *strides) <= 0 or not all(map(math.isfinite, strides)):
            raise ValueError("sizes that are not above 0")
        if min((self.margin or 0), *(level.lost for level in self.levels)) < 0:
            raise ValueError("sizes below 0")

    @property
    def depth(self) -> int:
        """Features of all levels together."""
        return sum(level.depth for level in self.levels)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Geometry:
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: if it is something else.
        """
        levels = tuple(
            Level(index(one["depth"]), float(one["stride"]), index(one["lost"]))
            for one in values["levels"]
        )
        window, margin = values["window"], values["margin"]
        return cls(
            levels,
            index(values["step"]),
            None if margin is None else index(margin),
            None if window is None else (index(window[0]), index(window[1])),
        )
