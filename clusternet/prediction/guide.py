"""The guide image, whose edges the borders of a class map follow.

The smoothing of class maps is a guided filter (He, Sun and Tang, "Guided image filtering", 2013).
"""

from __future__ import annotations

import numpy as np

from clusternet.types import AnyArray

_CHANNELS = 3  # of the guide image; the filter solves a system of this size at each pixel


def edge_axes(spread: AnyArray) -> AnyArray:
    """Return the projection from bands to the channels of the guide image; (bands, channels).

    Up to three bands stay as they are. More bands are reduced to three principal components.

    Args:
        spread: (bands, bands) covariance of the bands.
    """
    if len(spread) <= _CHANNELS:
        return np.eye(len(spread))
    # eigh sorts eigenvalues in ascending order: the last columns are the principal axes
    return np.asarray(np.linalg.eigh(spread)[1][:, : -_CHANNELS - 1 : -1])
