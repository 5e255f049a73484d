"""K-Means over pixel features. This module alone uses faiss."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import faiss
import numpy as np

from clusternet.errors import ClusteringError
from clusternet.processes.interrupts import interrupts
from clusternet.types import AnyArray, FloatArray, IntArray

logger = logging.getLogger(__name__)

_LEAST_LOCAL = 1e-3  # of the mean variance between neighbours: what is added to each
_AT_ONCE = 2**16  # features
_STRENGTH = 2 / 3  # power of the deviation; 1 whitens the differences


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

    @property
    def has_projection(self) -> bool:
        """False if features are compared as they are, but for an offset."""
        return not np.array_equal(self.projection, np.eye(len(self.offset)))

    def transform(self, features: FloatArray) -> FloatArray:
        """Return features in the space of the centroids; (samples, depth) both."""
        centred = features - self.offset
        projected = centred @ self.projection if self.has_projection else centred
        return np.ascontiguousarray(projected, np.float32)

    def assign(self, features: FloatArray) -> IntArray:
        """Return the nearest centroid of each feature; (samples, depth) -> (samples,) int32."""
        nearest = np.empty(len(features), np.int32)
        for start in range(0, len(features), _AT_ONCE):  # so that few are transformed at a time
            part = slice(start, start + _AT_ONCE)
            nearest[part] = _nearest(self.centroids, self.transform(features[part]))[0]
        return nearest

    def convolution(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the 1x1 convolution of centred features whose argmax over clusters is `assign`.

        With t = (f - o) P the score t . c - |c|^2 / 2 is linear in f - o: kernel P c^T and bias
        -|c|^2 / 2. The offset must come off first: it may be many times what features differ by,
        and then products of f itself leave float32 nothing of that.

        Returns:
            offset (depth,), kernel (depth, clusters) and bias (clusters,).
        """
        centroids = self.centroids.astype(np.float64)
        kernel = self.projection.astype(np.float64) @ centroids.T
        bias = -(centroids**2).sum(axis=1) / 2
        return self.offset, kernel.astype(np.float32), bias.astype(np.float32)


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

    Each subtracts the mean. ``none`` does no more; ``standardise`` gives every feature variance 1;
    ``whiten`` also removes their correlations (PCA). Directions without variance are left at zero.

    ``neighbours`` goes two thirds of the way to the minimum noise fraction (Green et al. 1988):
    along the principal axes of the differences between pixels that are
    `clusternet.clustering.sampling.REACH` apart, features are divided by the deviation of these
    differences to the power of 2/3. What changes over so short a way tells little of land cover,
    and so counts less. Nothing else is scaled.

    Args:
        features: (samples, depth).
        kind: of transform.
        differences: (pairs, depth) between such pixels, for ``neighbours``; without any nothing
            is scaled.
    """
    depth = features.shape[1]
    offset = features.mean(axis=0, dtype=np.float64)
    if kind == "neighbours" and differences is not None and len(differences):
        exact = differences.astype(np.float64)
        variance, axes = np.linalg.eigh(exact.T @ exact / len(exact))
        least = max(float(variance.mean()), 1e-12) * _LEAST_LOCAL
        projection = axes / (np.maximum(variance, 0) + least) ** (_STRENGTH / 2)
        return offset.astype(np.float32), projection.astype(np.float32)
    if kind in ("none", "neighbours"):
        return offset.astype(np.float32), np.eye(depth, dtype=np.float32)
    if kind == "standardise":
        variance, axes = features.var(axis=0, dtype=np.float64), np.eye(depth)
    else:
        variance, axes = np.linalg.eigh(np.cov(features, rowvar=False, dtype=np.float64))
    floor = max(float(variance.max()), 1e-12) * 1e-6
    scale = np.where(variance > floor, 1 / np.sqrt(np.maximum(variance, floor)), 0.0)
    return offset.astype(np.float32), (axes * scale).astype(np.float32)


def fit_scales(features: FloatArray, num_learned: int, weight: float) -> Space:
    """Return the space that makes learned features and the fixed filters behind them comparable.

    Filters are standardised one by one and then scaled to a total variance of 1; learned features
    are scaled as a whole to ``weight`` squared. So neither side counts more because it has more or
    larger numbers.

    Args:
        features: (samples, learned + filters).
        num_learned: how many learned features come first.
        weight: deviation of the learned features, in those of the filters.
    """
    offset = features.mean(axis=0, dtype=np.float64)
    variance = features.var(axis=0, dtype=np.float64)
    learned, filters = variance[:num_learned], variance[num_learned:]
    usable = filters > max(float(filters.max(initial=0)), 1e-12) * 1e-9
    scale = np.zeros(len(offset))
    scale[:num_learned] = weight / np.sqrt(max(float(learned.sum()), 1e-12))
    scale[num_learned:][usable] = 1 / np.sqrt(filters[usable] * max(int(usable.sum()), 1))
    return offset.astype(np.float32), np.diag(scale).astype(np.float32)


def fit_space(
    features: FloatArray,
    differences: FloatArray,
    kind: str,
    *,
    num_learned: int | None = None,
    weight: float = 1.0,
) -> Space:
    """Return the space that clusters are found in: scales (if asked for), then a transform.

    Args:
        features: (samples, depth).
        differences: (pairs, depth), see `fit_transform`.
        kind: see `fit_transform`.
        num_learned: see `fit_scales`; None leaves scales as they are.
        weight: see `fit_scales`.
    """
    if num_learned is None:
        return fit_transform(features, kind, differences)
    offset, scales = fit_scales(features, num_learned, weight)
    # the scaled features have mean 0, so the transform shifts nothing more
    scaled = np.asarray((features - offset) @ scales, np.float32)
    _, turn = fit_transform(scaled, kind, differences @ scales)
    return offset, scales @ turn


def cluster(
    features: FloatArray,
    num_clusters: int,
    *,
    iterations: int = 20,
    seed: int = 1,
    space: Space | None = None,
    initial_labels: IntArray | None = None,
    overwrite: bool = False,
) -> Clustering:
    """Cluster pixel features by K-Means.

    Args:
        features: (samples, depth) float32; all samples are used.
        num_clusters: number of centroids.
        iterations: of Lloyd's algorithm.
        seed: fixes the choice of first centroids.
        space: in which distances are measured, see `fit_space`; None takes features as they are.
        initial_labels: (samples,) cluster of each sample before the features changed, negative
            for none. K-Means starts from their means, so that a cluster keeps its number though
            features have moved. A cluster without samples starts at one drawn by chance.
        overwrite: features may be overwritten, which spares the memory of a copy.

    Raises:
        ClusteringError: if there are fewer samples than clusters, features are not finite, or
            all features are equal.
    """
    check_features(features, num_clusters)
    offset, projection = space or fit_transform(features, "none")
    empty = Codebook(np.empty((0, features.shape[1]), np.float32), offset, projection)
    if overwrite and not empty.has_projection:
        points = np.ascontiguousarray(np.subtract(features, offset, out=features))
    else:
        points = empty.transform(features)
    first = (
        None
        if initial_labels is None
        else cluster_means(points, initial_labels, num_clusters, seed)
    )
    centroids = _lloyd(points, num_clusters, iterations, seed, first)
    codebook = Codebook(centroids, offset, projection)
    assignment, distances = _nearest(codebook.centroids, points)
    sizes = np.bincount(assignment, minlength=num_clusters).astype(np.int32)
    return Clustering(codebook, assignment, float(distances.mean(dtype=np.float64)), sizes)


def _lloyd(
    points: FloatArray, num_clusters: int, iterations: int, seed: int, first: FloatArray | None
) -> FloatArray:
    """Return the centroids (clusters, depth) that Lloyd's algorithm finds.

    One iteration at a time, which gives the same numbers: signals are answered between them.
    """
    kmeans = faiss.Kmeans(
        points.shape[1],
        num_clusters,
        niter=1,
        seed=seed,
        # the sample is what the caller wants clustered: neither cut it nor warn of its size
        max_points_per_centroid=len(points),
        min_points_per_centroid=1,
    )
    for _ in range(iterations):
        interrupts.check()
        with _one_thread():
            kmeans.train(points, init_centroids=first)
        first = np.array(kmeans.centroids, np.float32)
    return np.asarray(first, np.float32)


def cluster_means(points: FloatArray, labels: IntArray, num_clusters: int, seed: int) -> FloatArray:
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
    index = faiss.IndexFlatL2(centroids.shape[1])
    index.add(np.ascontiguousarray(centroids))
    with _one_thread():
        distances, nearest = index.search(points, 1)
    return np.asarray(nearest[:, 0], np.int32), np.asarray(distances[:, 0], np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep faiss, called from this thread, to one core for the length of a call.

    Its blocks of distances are small: as soon as anything else runs beside them, several threads
    mostly wait for each other, busily (fifteen times the processor time on two cores). Alone they
    would save a fraction of a second. And one thread gives the same sums on every machine.
    """
    kept = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(kept)


def check_features(features: AnyArray, num_clusters: int) -> None:
    """Refuse features that cannot be clustered, before anything is fitted to them.

    Args:
        features: (samples, depth).
        num_clusters: clusters wanted.

    Raises:
        ClusteringError: if there are too few, one is NaN or infinite, or all are equal.
    """
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
