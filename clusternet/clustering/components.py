"""The leading components of the space of K-Means: few numbers a pixel that lose little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clusternet.clustering.kmeans import Codebook
from clusternet.types import FloatArray

SHARE = 0.93
"""Share of the variance that is kept; with it classes are told apart as well as with all of it
(docs/experiments.md)."""
_WORTH = 0.5  # part of all dimensions; a space that needs more of them is not reduced


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
        as many components as hold `SHARE` of the variance. None if these are more than half of all
        dimensions, or if features are compared as they are, each in a unit of its own.
    """
    if not codebook.has_projection:
        return None
    values = codebook.transform(features).astype(np.float64)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(values.T)))
    shares = np.cumsum(variances[::-1]) / max(variances.sum(), np.finfo(float).tiny)
    count = int(np.searchsorted(shares, SHARE)) + 1
    if count > _WORTH * len(axes):
        return None
    axes = axes[:, ::-1][:, :count]
    # an axis and its reverse are both right: the largest part of each is made positive
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(count)])
    ends = np.percentile(values @ axes, (0.5, 99.5), axis=0)
    return Components((codebook.projection @ axes).astype(np.float32), ends.astype(np.float32))
