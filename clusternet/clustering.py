"""K-Means over pixel features. This module alone uses faiss."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import faiss
import numpy as np

from clusternet.errors import ClusteringError
from clusternet.types import AnyArray, FloatArray, IntArray

logger = logging.getLogger(__name__)

_LEAST_LOCAL = 1e-3  # of the mean variance between neighbours: what is added to each


Space = tuple[FloatArray, FloatArray]
"""(depth,) offset that is subtracted from features, (depth, depth) projection from the right."""


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


def fit_transform(features: FloatArray, kind: str, differences: FloatArray | None = None) -> Space:
    """Return the (offset, projection) of a feature transform fitted to (samples, depth).

    ``none`` changes nothing; ``standardise`` gives every feature variance 1; ``whiten`` also
    removes their correlations (PCA). Directions without variance are left at zero.

    With ``differences``, (pairs, depth) between neighbouring pixels, features are standardised
    and then whitened half-way by those: the directions in which neighbours differ most, which
    tell least of land cover, are divided by the square root of the deviation. (All the way it
    is the minimum noise fraction, Green et al. 1988.)
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
    if differences is not None:
        scaled = differences.astype(np.float64) @ (axes * scale)
        local, turn = np.linalg.eigh(scaled.T @ scaled / len(scaled))
        least = max(float(local.mean()), 1e-12) * _LEAST_LOCAL
        return offset.astype(np.float32), (
            (axes * scale) @ (turn / (np.maximum(local, 0) + least) ** 0.25)
        ).astype(np.float32)
    return offset.astype(np.float32), (axes * scale).astype(np.float32)


def join_spaces(features: FloatArray, learned: Space, filters: Space, weight: float) -> Space:
    """Return a space for learned features and fixed filters side by side.

    Both are scaled as a whole: the filters to a total variance of 1, the learned features to
    ``weight`` squared. So neither counts more because it has more or larger numbers.

    Args:
        features: (samples, learned + filters).
        learned: space of the learned features.
        filters: space of the filters.
        weight: deviation of the learned features, in those of the filters.
    """
    depth = len(learned[0])
    blocks, start = [], 0
    for (offset, projection), size in ((learned, weight), (filters, 1.0)):
        part = (features[:, start : start + len(offset)] - offset) @ projection
        spread = float(np.sqrt(part.var(axis=0, dtype=np.float64).sum()))
        blocks.append(projection * (size / spread if spread > 0 else 0.0))
        start += len(offset)
    joint = np.zeros((start, start), np.float32)
    joint[:depth, :depth], joint[depth:, depth:] = blocks
    return np.concatenate([learned[0], filters[0]]), joint


def cluster(
    features: FloatArray,
    num_clusters: int,
    *,
    iterations: int = 20,
    seed: int = 1,
    transform: str = "none",
    space: Space | None = None,
    start: IntArray | None = None,
) -> Clustering:
    """Cluster pixel features by K-Means.

    Args:
        features: (samples, depth) float32; all samples are used.
        num_clusters: number of centroids.
        iterations: of Lloyd's algorithm.
        seed: fixes the choice of first centroids.
        transform: see `fit_transform`.
        space: the (offset, projection) to use instead of a fitted one.
        start: (samples,) cluster of each sample before the features changed. K-Means starts
            from their means, so that a cluster keeps its number though features have moved;
            a cluster without samples starts at one drawn by chance. A negative number means
            none.

    Raises:
        ClusteringError: if there are fewer samples than clusters, features are not finite, or
            all features are equal.
    """
    _check_features(features, num_clusters)
    offset, projection = space or fit_transform(features, transform)
    empty = Codebook(np.empty((0, features.shape[1]), np.float32), offset, projection)
    kmeans = faiss.Kmeans(
        features.shape[1],
        num_clusters,
        niter=iterations,
        seed=seed,
        # the sample is what the caller wants clustered: neither cut it nor warn of its size
        max_points_per_centroid=len(features),
        min_points_per_centroid=1,
    )
    points = empty.transform(features)
    first = None if start is None else cluster_means(points, start, num_clusters, seed)
    _use_one_thread()
    kmeans.train(points, init_centroids=first)
    codebook = Codebook(np.asarray(kmeans.centroids, np.float32), offset, projection)
    assignment, distances = _nearest(codebook.centroids, points)
    sizes = np.bincount(assignment, minlength=num_clusters).astype(np.int32)
    return Clustering(codebook, assignment, float(distances.mean(dtype=np.float64)), sizes)


def cluster_means(
    points: FloatArray, labels: IntArray, num_clusters: int, seed: int = 1
) -> FloatArray:
    """Return the mean of the points of each cluster, a random point where it has none.

    Args:
        points: (samples, depth).
        labels: (samples,) from 0 to ``num_clusters - 1``; negative ones are left out.
        num_clusters: number of rows of the result.
        seed: fixes the random points.
    """
    used = labels >= 0
    sizes = np.bincount(labels[used], minlength=num_clusters)
    sums = np.zeros((num_clusters, points.shape[1]))
    np.add.at(sums, labels[used], points[used])
    means = sums / np.maximum(sizes, 1)[:, None]
    empty = np.flatnonzero(sizes == 0)
    chosen = np.random.default_rng(seed).choice(len(points), len(empty), replace=False)
    means[empty] = points[chosen]
    return np.ascontiguousarray(means, np.float32)


def _nearest(centroids: FloatArray, points: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the nearest centroid of each point and its squared distance; (samples,) both."""
    _use_one_thread()
    index = faiss.IndexFlatL2(centroids.shape[1])
    index.add(np.ascontiguousarray(centroids))
    distances, nearest = index.search(points, 1)
    return np.asarray(nearest[:, 0], np.int32), np.asarray(distances[:, 0], np.float32)


def _use_one_thread() -> None:
    """Keep faiss, called from this thread, to one core.

    Its blocks of distances are small: as soon as anything else runs beside them, several threads
    mostly wait for each other, busily (fifteen times the processor time on two cores). Alone they
    would save a fraction of a second. And one thread gives the same sums on every machine.
    """
    faiss.omp_set_num_threads(1)


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
