"""Colours as text, and the fixed palette of cluster and class numbers."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from clusternet.colour_vision import as_seen, distances
from clusternet.types import UInt8Array

RGB = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

_HEX = re.compile(r"#?[0-9a-fA-F]{6}")
_FIRST = (  # the palette of Okabe and Ito (2008, Color universal design), without black
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0),
    (240, 228, 66),
)  # fmt: skip
NODATA_COLOUR = (225, 225, 225)
"""RGB of pixels without data, in every picture."""
_MOST = 1000  # from this number on colours repeat


def as_hex(colour: RGB) -> str:
    """Return a colour as #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def from_hex(text: str) -> RGB | None:
    """Return the colour of a text #rrggbb, None for other text."""
    if not _HEX.fullmatch(text.strip()):
        return None
    red, green, blue = bytes.fromhex(text.strip().removeprefix("#"))
    return red, green, blue


def palette(count: int) -> UInt8Array:
    """Return ``count`` RGB colours, the same ones every time; (count, 3) uint8.

    Colour-blind people can tell them apart, too. The first seven are those of Okabe and Ito (2008).
    Each of the others is the one that differs most from all before it: the sequential search of
    Glasbey et al. (2007, Colour displays for categorical images). How much two colours differ is
    measured for the eyes that tell them apart worst, see `clusternet.colour_vision`. Beyond a
    thousand they repeat. No palette of matplotlib has more than twenty colours, and a run has a
    hundred clusters.
    """
    if count <= len(_FIRST):
        return np.array(_FIRST[:count], np.uint8).reshape(-1, 3)
    colours = np.array(_farthest(min(-(-count // 100) * 100, _MOST)), np.uint8)
    return np.resize(colours, (count, 3)) if count > _MOST else colours[:count].copy()


@lru_cache(maxsize=4)
def _farthest(count: int) -> tuple[RGB, ...]:
    """Extend the first colours to ``count`` by farthest points in the CIELAB colour space."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    seen = as_seen(grid)
    lightness = seen[0, :, 0]
    # Leave out nearly black and nearly white colours: they have no hue.
    kept = (lightness > 18) & (lightness < 90)
    grid, seen = grid[kept], seen[:, kept]
    nearest = distances(seen, as_seen(np.array([*_FIRST, NODATA_COLOUR]))).min(axis=1)
    colours = list(_FIRST)
    while len(colours) < count:
        best = int(nearest.argmax())
        red, green, blue = (int(value) for value in grid[best])
        colours.append((red, green, blue))
        nearest = np.minimum(nearest, distances(seen, seen[:, best : best + 1])[:, 0])
    return tuple(colours)
