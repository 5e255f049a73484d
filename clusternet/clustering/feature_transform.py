"""Transforms of features before K-Means: which differences between pixels count how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clusternet.types import FloatArray

_NEIGHBOUR_FLOOR = 1e-3  # is added to each variance of differences, in their mean variance
_STRENGTH = 2 / 3  # power of the standard deviation of the differences; 1 would whiten them


@dataclass(frozen=True)
class FeatureTransform:
    """An affine map of features: t = (f - offset) projection."""

    offset: FloatArray
    """(depth,)"""
    projection: FloatArray
    """(depth, depth)"""

    @property
    def has_projection(self) -> bool:
        """False if the transform only shifts features."""
        return not np.array_equal(self.projection, np.eye(len(self.offset)))

    def apply(self, features: FloatArray) -> FloatArray:
        """Return transformed features; (samples, depth) both."""
        centred = features - self.offset
        projected = centred @ self.projection if self.has_projection else centred
        return np.ascontiguousarray(projected, np.float32)


def fit_feature_transform(
    features: FloatArray, kind: str, differences: FloatArray | None = None
) -> FeatureTransform:
    """Fit a feature transform. All kinds subtract the mean.

    - ``none`` does no more.
    - ``standardise`` gives every feature variance 1.
    - ``whiten`` also removes their correlations (PCA). Directions without variance become zero.
    - ``neighbours`` scales along the principal axes of the differences between pixels that are
      `clusternet.clustering.sampling.REACH` apart. It divides by the standard deviation of these
      differences to the power of 2/3. Land cover seldom changes over so short a distance, texture
      and noise do: they weigh less afterwards. The power 1 would be the minimum noise fraction
      (Green et al. 1988).

    Args:
        features: (samples, depth).
        kind: one of the above.
        differences: (pairs, depth) between such pixels, for ``neighbours``. Without any nothing is
            scaled.
    """
    depth = features.shape[1]
    offset = features.mean(axis=0, dtype=np.float64)
    if kind == "neighbours" and differences is not None and len(differences):
        exact = differences.astype(np.float64)
        variance, axes = np.linalg.eigh(exact.T @ exact / len(exact))
        # without a floor, a feature that neighbours share exactly would outweigh all others
        floor = max(float(variance.mean()), 1e-12) * _NEIGHBOUR_FLOOR
        projection = axes / (np.maximum(variance, 0) + floor) ** (_STRENGTH / 2)
        return FeatureTransform(offset.astype(np.float32), projection.astype(np.float32))
    if kind in ("none", "neighbours"):
        return FeatureTransform(offset.astype(np.float32), np.eye(depth, dtype=np.float32))
    if kind == "standardise":
        variance, axes = features.var(axis=0, dtype=np.float64), np.eye(depth)
    else:
        variance, axes = np.linalg.eigh(np.cov(features, rowvar=False, dtype=np.float64))
    # a direction of almost no variance is noise: divided by its deviation it would count in full
    floor = max(float(variance.max()), 1e-12) * 1e-6
    scale = np.where(variance > floor, 1 / np.sqrt(np.maximum(variance, floor)), 0.0)
    return FeatureTransform(offset.astype(np.float32), (axes * scale).astype(np.float32))


@dataclass(frozen=True)
class Sides:
    """The sides of a description: learned features, then fixed filters, then a backbone's."""

    num_learned: int
    """Learned features, at the front."""
    learned_weight: float = 1.0
    """Standard deviation of all learned features, relative to that of all filters."""
    num_backbone: int = 0
    """Features of a backbone, at the end."""
    backbone_weight: float = 1.0
    """Standard deviation of all of them, relative to that of all filters."""


def fit_scales(features: FloatArray, sides: Sides) -> FeatureTransform:
    """Fit the scales that make learned features, fixed filters and a backbone comparable.

    Filters are standardised one by one, and then scaled to a total variance of 1. Learned features
    and those of a backbone are scaled as a whole, to a total variance of their weight squared. So
    no side counts more because it has more features or larger values.

    Args:
        features: (samples, learned + filters + backbone).
        sides: how many features each side has, and what it weighs.
    """
    offset = features.mean(axis=0, dtype=np.float64)
    variance = features.var(axis=0, dtype=np.float64)
    first, last = sides.num_learned, len(offset) - sides.num_backbone
    learned, filters, backbone = np.split(variance, [first, last])
    usable = filters > max(float(filters.max(initial=0)), 1e-12) * 1e-9
    scale = np.zeros(len(offset))
    scale[:first] = sides.learned_weight / np.sqrt(max(float(learned.sum()), 1e-12))
    scale[first:last][usable] = 1 / np.sqrt(filters[usable] * max(int(usable.sum()), 1))
    scale[last:] = sides.backbone_weight / np.sqrt(max(float(backbone.sum()), 1e-12))
    return FeatureTransform(offset.astype(np.float32), np.diag(scale).astype(np.float32))


def fit_scaled_transform(
    features: FloatArray,
    differences: FloatArray,
    kind: str,
    sides: Sides | None = None,
) -> FeatureTransform:
    """Fit scales, if asked for, and a feature transform after them; return both as one.

    Args:
        features: (samples, depth).
        differences: (pairs, depth), see `fit_feature_transform`.
        kind: see `fit_feature_transform`.
        sides: see `fit_scales`; None fits no scales.
    """
    if sides is None:
        return fit_feature_transform(features, kind, differences)
    scales = fit_scales(features, sides)
    scaled = np.asarray((features - scales.offset) @ scales.projection, np.float32)
    transform = fit_feature_transform(scaled, kind, differences @ scales.projection)
    # scaled features have mean 0: the second offset is that of rounding, and is left out
    return FeatureTransform(scales.offset, scales.projection @ transform.projection)
