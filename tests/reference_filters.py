"""The fixed filters by SciPy, to compare the network's layer with."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from clusternet.network.filter_bank import FAINT, GRADIENT_SCALE, SCALES
from clusternet.types import FloatArray


def fixed_filters(pixels: FloatArray) -> FloatArray:
    """Return `filter_features` and `coherence` side by side; (rows, cols, filters)."""
    return np.concatenate([filter_features(pixels), coherence(pixels)], axis=-1)


def coherence(pixels: FloatArray) -> FloatArray:
    """Tell how much the surroundings have one direction, as roads, roofs and furrows have.

    From the eigenvalues a >= b of the structure tensor, the gradient's outer product smoothed
    at each scale: (a - b) / (a + b), 0 where all directions are alike (Bigun and Granlund 1987).

    Args:
        pixels: (rows, cols, bands), standardised.

    Returns:
        (rows, cols, scales) from 0 to 1.
    """
    grey = pixels.mean(axis=-1)
    down, across = (
        ndimage.gaussian_filter(grey, GRADIENT_SCALE, order=order) for order in ((1, 0), (0, 1))
    )
    found = []
    for scale in SCALES:
        rows, cols, both = (
            ndimage.gaussian_filter(product, scale)
            for product in (down * down, across * across, down * across)
        )
        found.append(np.sqrt((cols - rows) ** 2 + 4 * both**2) / (cols + rows + FAINT))
    return np.stack(found, axis=-1).astype(np.float32)


def filter_features(pixels: FloatArray) -> FloatArray:
    """Describe every pixel by the bands, and at three scales by smoothed bands and texture.

    Texture is measured on the mean of the bands: gradient magnitude, Laplacian of Gaussian, and
    the standard deviation under a Gaussian window. The first two are multiplied by the scale and
    its square, so that they compare between scales (Lindeberg 1998).

    Args:
        pixels: (rows, cols, bands), standardised.

    Returns:
        (rows, cols, filters): the bands, and for each scale as many again and three of texture.
    """
    grey = pixels.mean(axis=-1)
    found = [pixels]
    for scale in SCALES:
        found.append(ndimage.gaussian_filter(pixels, (scale, scale, 0)))
        mean = ndimage.gaussian_filter(grey, scale)
        variance = ndimage.gaussian_filter(grey**2, scale) - mean**2
        texture = (
            scale * ndimage.gaussian_gradient_magnitude(grey, scale),
            scale**2 * ndimage.gaussian_laplace(grey, scale),
            np.sqrt(np.maximum(variance, 0)),
        )
        found.append(np.stack(texture, axis=-1))
    return np.concatenate(found, axis=-1, dtype=np.float32)
