"""The channels of an image whose edges a class map follows."""

from __future__ import annotations

import numpy as np

from clusternet.types import AnyArray

_CHANNELS = 3  # of the image whose edges classes follow


def edge_axes(spread: AnyArray) -> AnyArray:
    """Return what projects bands to the channels whose edges count; (bands, channels).

    Bands as they are, or the three directions in which more than three differ most.

    Args:
        spread: (bands, bands) their covariance.
    """
    if len(spread) <= _CHANNELS:
        return np.eye(len(spread))
    return np.asarray(np.linalg.eigh(spread)[1][:, : -_CHANNELS - 1 : -1])
