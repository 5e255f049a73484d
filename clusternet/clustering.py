"""K-Means over pixel features. This module alone uses faiss."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import faiss
import numpy as np

from clusternet.errors import ClusteringError
from clusternet.types import AnyArray, FloatArray, IntArray

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Codebook:
    """The centroids, and what is done to features before they are compared with them."""

    centroids: FloatArray
    """(clusters, depth), in the transformed space."""
    offset: FloatArray
    """(depth,), subtracted from the features."""
    projection: FloatArray
    """(depth, depth), multiplies what is left from the right."""

    @property
    def num_clusters(self) -> int:
        """Number of centroids."""
        return len(self.centroids)

    def transform(self, features: FloatArray) -> FloatArray:
        """Return features in the space of the centroids; (samples, depth) both."""
        depth = len(self.offset)
        if not self.offset.any() and np.array_equal(self.projection, np.eye(depth)):
            return np.ascontiguousarray(features, np.float32)  # spare a copy of many samples
        return np.ascontiguousarray((features - self.offset) @ self.projection, np.float32)

    def assign(self, features: FloatArray) -> IntArray:
        """Return the nearest centroid of each feature; (samples, depth) -> (samples,) int32."""
        return _nearest(self.centroids, self.transform(features))[0]

    def convolution(self) -> tuple[FloatArray, FloatArray]:
        """Return the 1x1 convolution whose argmax over clusters is `assign`.

        With t = (f - o) P the score t . c - |c|^2 / 2 is linear in f: kernel P c^T and bias
        -o P c^T - |c|^2 / 2.

        Returns:
            kernel (depth, clusters) and bias (clusters,).
        """
        centroids = self.centroids.astype(np.float64)
        kernel = self.projection.astype(np.float64) @ centroids.T
        bias = -self.offset.astype(np.float64) @ kernel - (centroids**2).sum(axis=1) / 2
        return kernel.astype(np.float32), bias.astype(np.float32)


@dataclass(frozen=True)
class Clustering:
    """The outcome of one K-Means."""

    codebook: Codebook
    """The centroids found."""
    assignment: IntArray
    """(samples,) nearest centroid of each sample."""
    objective: float
    """Mean squared distance of a sample to its centroid, in the transformed space."""
    sizes: IntArray
    """(clusters,) samples in each cluster."""


def fit_transform(features: FloatArray, kind: str) -> tuple[FloatArray, FloatArray]:
    """Return the (offset, projection) of a feature transform fitted to (samples, depth).

    ``none`` changes nothing; ``standardise`` gives every feature variance 1; ``whiten`` also
    removes their correlations (PCA). Directions without variance are left at zero.
    """
    depth = features.shape[1]
    if kind == "none":
        return np.zeros(depth, np.float32), np.eye(depth, dtype=np.float32)
    offset = features.mean(axis=0, dtype=np.float64)
    if kind == "standardise":
        variance, axes = features.var(axis=0, dtype=np.float64), np.eye(depth)
    else:
        variance, axes = np.linalg.eigh(np.cov(features, rowvar=False, dtype=np.float64))
    floor = max(float(variance.max()), 1e-12) * 1e-6
    scale = np.where(variance > floor, 1 / np.sqrt(np.maximum(variance, floor)), 0.0)
    return offset.astype(np.float32), (axes * scale).astype(np.float32)


def cluster(
    features: FloatArray,
    num_clusters: int,
    *,
    iterations: int = 20,
    seed: int = 1,
    transform: str = "none",
    start: Codebook | None = None,
) -> Clustering:
    """Cluster pixel features by K-Means.

    Args:
        features: (samples, depth) float32; all samples are used.
        num_clusters: number of centroids.
        iterations: of Lloyd's algorithm.
        seed: fixes the choice of first centroids.
        transform: see `fit_transform`.
        start: codebook to start from, so that clusters keep their identity. Its transform is
            kept too: the centroids mean nothing in another space.

    Raises:
        ClusteringError: if there are fewer samples than clusters, features are not finite, or
            all features are equal.
    """
    _check_features(features, num_clusters)
    if start is None:
        offset, projection = fit_transform(features, transform)
    else:
        offset, projection = start.offset, start.projection
    space = Codebook(np.empty((0, features.shape[1]), np.float32), offset, projection)
    kmeans = faiss.Kmeans(
        features.shape[1],
        num_clusters,
        niter=iterations,
        seed=seed,
        # the sample is what the caller wants clustered: neither cut it nor warn of its size
        max_points_per_centroid=len(features),
        min_points_per_centroid=1,
    )
    first = None if start is None else np.ascontiguousarray(start.centroids)
    points = space.transform(features)
    kmeans.train(points, init_centroids=first)
    codebook = Codebook(np.asarray(kmeans.centroids, np.float32), offset, projection)
    assignment, distances = _nearest(codebook.centroids, points)
    sizes = np.bincount(assignment, minlength=num_clusters).astype(np.int32)
    return Clustering(codebook, assignment, float(distances.mean(dtype=np.float64)), sizes)


def _nearest(centroids: FloatArray, points: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the nearest centroid of each point and its squared distance; (samples,) both."""
    index = faiss.IndexFlatL2(centroids.shape[1])
    index.add(np.ascontiguousarray(centroids))
    distances, nearest = index.search(points, 1)
    return np.asarray(nearest[:, 0], np.int32), np.asarray(distances[:, 0], np.float32)


def _check_features(features: AnyArray, num_clusters: int) -> None:
    if len(features) < num_clusters:
        raise ClusteringError(
            f"Expected at least as many sampled pixels as clusters ({num_clusters}), found "
            f"{len(features)}; lower --num_clusters, or give more or larger patches."
        )
    if not np.isfinite(features).all():
        raise ClusteringError(
            "The network's features are NaN or infinite: training has diverged. Lower "
            "--learn_rate, or use --precision float32."
        )
    if not (features != features[0]).any():
        raise ClusteringError(
            "All sampled pixels have the same features: there is nothing to tell apart. Is the "
            "image constant?"
        )
