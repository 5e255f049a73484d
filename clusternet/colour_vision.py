"""How different colours look, to people with and without colour blindness."""

from __future__ import annotations

import numpy as np

from clusternet.types import AnyArray, FloatArray

# Machado, Oliveira and Fernandes (2009, A physiologically-based model for simulation of color
# vision deficiency), severity 1: from linear RGB to the linear RGB that people with normal vision
# would have to be shown, to see what others see.
_VISIONS = np.array([
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]],  # normal vision
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
     [-0.003882, -0.048116, 1.051998]],  # protanopia: no long-wave cones
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
     [-0.011820, 0.042940, 0.968881]],  # deuteranopia: no medium-wave cones
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
     [0.004733, 0.691367, 0.303900]],  # tritanopia: no short-wave cones
])  # fmt: skip
_TO_XYZ = np.array([
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
])  # fmt: skip
_WHITE = _TO_XYZ.sum(axis=1)  # D65, as sRGB has it


def as_seen(colours: AnyArray) -> FloatArray:
    """Return RGB colours in CIELAB as four kinds of eyes see them.

    Args:
        colours: (colours, 3) of 0 to 255.

    Returns:
        (4, colours, 3) lightness, a and b: normal vision, protanopia, deuteranopia, tritanopia.
    """
    parts = np.asarray(colours, np.float64).reshape(-1, 3) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.einsum("vij,cj->vci", _VISIONS, linear), 0, 1)
    xyz = seen @ _TO_XYZ.T / _WHITE
    roots = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(roots, -1, 0)
    lab: FloatArray = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
    return lab


def distances(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return how far colours are apart for the eyes that tell them apart worst.

    Distances of normal vision count half: of the colours that differ enough for colour-blind
    people, those are wanted that differ much for all others.

    Args:
        first: (4, colours, 3) of `as_seen`.
        second: (4, others, 3).

    Returns:
        (colours, others) distances in CIELAB; below about 5 colours are hard to tell apart.
    """
    apart = np.linalg.norm(first[:, :, None] - second[:, None], axis=-1)
    apart[0] /= 2
    least: FloatArray = apart.min(axis=0)
    return least
