"""The reduction of a backbone's feature maps to few dimensions: levels scaled, then PCA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clusternet.errors import ClusteringError
from clusternet.types import FloatArray

DIMENSIONS = 64
"""Features of a pixel that are kept of a backbone, at most."""
_FAINT = 1e-9  # part of the largest variance of a level below which a feature is constant


@dataclass(frozen=True)
class Reduction:
    """An affine map of the features of all levels: (features - offset) projection."""

    offset: FloatArray
    """(depth,) mean of each feature; the features of all levels one after the other."""
    projection: FloatArray
    """(depth, dimensions)."""

    @property
    def num_features(self) -> int:
        """Features that are kept."""
        return int(self.projection.shape[1])


class LevelMoments:
    """Means and covariances of the features of all levels, fed one patch at a time."""

    def __init__(self, depths: Sequence[int]) -> None:
        """Take the number of features of each level."""
        self._depths = list(depths)
        self._count = 0
        self._origin = np.zeros(sum(depths))
        self._sum = np.zeros(sum(depths))
        self._products = np.zeros((sum(depths), sum(depths)))

    def add(self, features: FloatArray) -> None:
        """Add features of pixels; (samples, depth).

        Raises:
            ClusteringError: if one is NaN or infinite.
        """
        if not len(features):
            return
        values = features.astype(np.float64)
        if not np.isfinite(values).all():
            raise ClusteringError(
                "The backbone's features are NaN or infinite. It should map RGB from 0 to 255; "
                "check that it does so without --backbone here."
            )
        if not self._count:
            self._origin = values.mean(axis=0)  # sums of large numbers would lose digits
        values -= self._origin
        self._count += len(values)
        self._sum += values.sum(axis=0)
        self._products += values.T @ values

    def fit(self, dimensions: int = DIMENSIONS) -> Reduction:
        """Return the reduction to so many dimensions at most.

        Each feature is standardised, and each level scaled to a total variance of 1, so that no
        level counts more because it has more features. The principal axes follow, the one of the
        largest variance first.

        Raises:
            ClusteringError: if no feature varies.
        """
        mean = self._sum / max(self._count, 1)
        covariance = self._products / max(self._count, 1) - np.outer(mean, mean)
        scale = self._scales(np.maximum(np.diag(covariance), 0))
        values, axes = np.linalg.eigh(covariance * np.outer(scale, scale))
        kept = min(dimensions, int((values > values[-1] * _FAINT).sum()))
        axes = axes[:, ::-1][:, :kept]
        # an axis and its reverse are both right: the largest part of each is made positive
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(kept)])
        offset = (self._origin + mean).astype(np.float32)
        return Reduction(offset, (scale[:, None] * axes).astype(np.float32))

    def _scales(self, variance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factor of each feature; 0 for constant ones."""
        scale, first = np.zeros(len(variance)), 0
        for depth in self._depths:
            level = variance[first : first + depth]
            varies = level > max(float(level.max(initial=0)) * _FAINT, 1e-20)
            found = np.zeros(depth)
            found[varies] = 1 / np.sqrt(level[varies] * varies.sum())
            scale[first : first + depth] = found
            first += depth
        if not scale.any():
            raise ClusteringError(
                "The backbone gives all pixels the same features: check its file, and that "
                "--backbone_bands names bands that vary."
            )
        return scale
