"""Fixed colours for cluster and class numbers that neighbours can be told apart by."""

from __future__ import annotations

import colorsys

import numpy as np

from clusternet.types import UInt8Array

_FIRST = (  # twelve well separated hues, first because few clusters or classes are common
    (31, 119, 180), (44, 160, 44), (214, 39, 40), (255, 187, 40), (148, 103, 189), (140, 86, 75),
    (23, 190, 207), (227, 119, 194), (152, 223, 138), (255, 127, 14), (174, 199, 232), (99, 99, 99),
)  # fmt: skip


def palette(count: int) -> UInt8Array:
    """Return ``count`` RGB colours, the same ones every time; (count, 3) uint8.

    After the first twelve, hues advance by the golden ratio and lightness and saturation cycle,
    so that neighbouring numbers always differ clearly.
    """
    colours = list(_FIRST[:count])
    for index in range(len(colours), count):
        hue = (index * 0.61803398875) % 1.0
        lightness = (0.35, 0.5, 0.65, 0.78)[index % 4]
        saturation = (0.9, 0.6, 0.75)[index % 3]
        red, green, blue = colorsys.hls_to_rgb(hue, lightness, saturation)
        colours.append((round(red * 255), round(green * 255), round(blue * 255)))
    return np.array(colours, np.uint8).reshape(-1, 3)
