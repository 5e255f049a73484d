"""The arithmetic of the fixed filters' sizes, without the network library."""

from __future__ import annotations

SCALES = (1.5, 4.0, 8.0)
"""Standard deviations of the Gaussians in pixels: a roof's edge, a crown, a house."""
GRADIENT_SCALE = 1.0
"""Standard deviation of the gradients that coherence is made of, in pixels."""

_REACH = 4.0  # standard deviations at which a Gaussian is cut off, as SciPy does


def radius(scale: float) -> int:
    """Return the pixels on each side that a Gaussian of this standard deviation covers."""
    return int(_REACH * scale + 0.5)


BORDER = radius(max(SCALES)) + radius(GRADIENT_SCALE)
"""Pixels on each side that a pixel's filters depend on."""


def num_filters(num_bands: int) -> int:
    """Return how many numbers `FilterBank` gives for a pixel."""
    return num_bands + len(SCALES) * (num_bands + 4)
