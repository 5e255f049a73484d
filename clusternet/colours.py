"""Colours as text, and the fixed palette of cluster and class numbers."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from clusternet.types import UInt8Array

RGB = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

_HEX = re.compile(r"#?[0-9a-fA-F]{6}")
_FIRST = (  # twelve hues that differ well, for the usual number of classes
    (31, 119, 180), (44, 160, 44), (214, 39, 40), (255, 187, 40), (148, 103, 189), (140, 86, 75),
    (23, 190, 207), (227, 119, 194), (152, 223, 138), (255, 127, 14), (174, 199, 232), (99, 99, 99),
)  # fmt: skip
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

    After the first twelve, each colour is the one that differs most, to the eye, from all
    before it: the sequential search of Glasbey et al. (2007, Colour displays for categorical
    images). Beyond a thousand they repeat. No palette of matplotlib has more than twenty
    colours, and a run has a hundred clusters.
    """
    if count <= len(_FIRST):
        return np.array(_FIRST[:count], np.uint8).reshape(-1, 3)
    colours = np.array(_farthest(min(-(-count // 100) * 100, _MOST)), np.uint8)
    return np.resize(colours, (count, 3)) if count > _MOST else colours[:count].copy()


@lru_cache(maxsize=4)
def _farthest(count: int) -> tuple[tuple[int, int, int], ...]:
    """Extend the first colours to ``count`` by farthest points in the CIELAB colour space."""
    from skimage.color import rgb2lab  # here, because it takes a moment to load

    steps = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = rgb2lab(grid / 255)[:, 0]
    # Leave out nearly black and nearly white colours: they have no hue, and nodata is light grey.
    grid = grid[(lightness > 18) & (lightness < 90)]
    chosen = np.array(_FIRST, np.uint8)
    candidates, first = rgb2lab(grid / 255), rgb2lab(chosen / 255)
    nearest = np.linalg.norm(candidates[:, None] - first, axis=-1).min(axis=1)
    colours = list(_FIRST)
    while len(colours) < count:
        best = int(nearest.argmax())
        red, green, blue = (int(value) for value in grid[best])
        colours.append((red, green, blue))
        away = np.linalg.norm(candidates - candidates[best], axis=-1)
        nearest = np.minimum(nearest, away)
    return tuple(colours)
