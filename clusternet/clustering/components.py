"""The leading components of the space of K-Means: few numbers a pixel that lose little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clusternet.clustering.kmeans import Codebook
from clusternet.types import FloatArray

DIMENSIONS = 32
"""Components that are kept; with them classes are told apart as well as with all features
(docs/experiments.md)."""
_LEAST_SHARE = 0.8  # of the variance; a space of which they hold less is not reduced


@dataclass(frozen=True)
class Components:
    """A linear map from features to components, and the range of each."""

    axes: FloatArray
    """(depth, components) from features less the codebook's offset; the largest variance first."""
    range: FloatArray
    """(2, components) 0.5 and 99.5 percentile of each, for writing them as bytes."""

    @property
    def count(self) -> int:
        """Components of a pixel."""
        return int(self.axes.shape[1])


def fit_components(features: FloatArray, codebook: Codebook) -> Components | None:
    """Return the principal components of features in the space of K-Means.

    Distances between pixels there are those that K-Means compares, but for the directions that
    are left out.

    Args:
        features: (samples, depth) what was clustered.
        codebook: of the clusters.

    Returns:
        `DIMENSIONS` components. None if there are not twice as many dimensions, if these hold too
        little of the variance, or if features are compared as they are, each in a unit of its own.
    """
    if not codebook.has_projection or len(codebook.offset) < 2 * DIMENSIONS:
        return None
    values = codebook.transform(features).astype(np.float64)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(values.T)))
    if variances[-DIMENSIONS:].sum() < _LEAST_SHARE * variances.sum():
        return None
    axes = axes[:, ::-1][:, :DIMENSIONS]
    # an axis and its reverse are both right: the largest part of each is made positive
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(DIMENSIONS)])
    ends = np.percentile(values @ axes, (0.5, 99.5), axis=0)
    return Components((codebook.projection @ axes).astype(np.float32), ends.astype(np.float32))
