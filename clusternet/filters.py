"""Fixed filters: what one can say of a pixel's surroundings without learning."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from clusternet.types import FloatArray

SCALES = (1.5, 4.0, 8.0)
"""Standard deviations of the Gaussians in pixels: a roof's edge, a crown, a house."""


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
