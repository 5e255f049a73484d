"""K-Means over pixel features. This module alone uses faiss."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from clusternet.clustering.feature_transform import (
    FeatureTransform,
    Sides,
    fit_feature_transform,
    fit_scaled_transform,
)
from clusternet.clustering.sampling import Sample
from clusternet.errors import ClusteringError
from clusternet.processes.interrupts import interrupts
from clusternet.settings import TrainingSettings
from clusternet.types import AnyArray, FloatArray, IntArray

logger = logging.getLogger(__name__)

_AT_ONCE = 2**16  # features
_LEARNED_WEIGHT = 0.6  # standard deviation of the learned features, relative to the filters
BACKBONE_WEIGHT = 1.0
"""Standard deviation of a backbone's features, relative to the filters."""


@dataclass(frozen=True)
class Codebook:
    """Centroids, and the transform of the features that are compared with them."""

    centroids: FloatArray
    """(clusters, depth), in the transformed space."""
    offset: FloatArray
    """(depth,) of the transform, see `FeatureTransform`."""
    projection: FloatArray
    """(depth, depth) of the transform."""

    @property
    def num_clusters(self) -> int:
        """Number of centroids."""
        return len(self.centroids)

    @property
    def has_projection(self) -> bool:
        """False if features are compared as they are, but for an offset."""
        return self._transform.has_projection

    @property
    def _transform(self) -> FeatureTransform:
        return FeatureTransform(self.offset, self.projection)

    def transform(self, features: FloatArray) -> FloatArray:
        """Return features in the space of the centroids; (samples, depth) both."""
        return self._transform.apply(features)

    def assign(self, features: FloatArray) -> IntArray:
        """Return the nearest centroid of each feature; (samples, depth) -> (samples,) int32."""
        nearest = np.empty(len(features), np.int32)
        for start in range(0, len(features), _AT_ONCE):  # the transformed copy stays small
            rows = slice(start, start + _AT_ONCE)
            nearest[rows] = _nearest(self.centroids, self.transform(features[rows]))[0]
        return nearest

    def convolution(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the 1x1 convolution of centred features whose argmax over clusters is `assign`.

        With t = (f - o) P the score t . c - |c|^2 / 2 is linear in f - o: kernel P c^T and bias
        -|c|^2 / 2 (docs/method.md). The offset is subtracted first. It may be many times as large
        as the differences between features, which products of f itself would round away.

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
    """The centroids, with the transform of the features."""
    assignment: IntArray
    """(samples,) nearest centroid of each sample."""
    objective: float
    """Mean squared distance of a sample to its centroid, in the transformed space."""
    sizes: IntArray
    """(clusters,) samples in each cluster."""


def cluster_features(
    sample: Sample,
    settings: TrainingSettings,
    *,
    initial_labels: IntArray | None = None,
    overwrite: bool = False,
) -> Clustering:
    """Cluster features as the settings say.

    Args:
        sample: of features: learned ones, the fixed filters, and those of a backbone, as far as
            they take part.
        settings: of the run.
        initial_labels: see `cluster`.
        overwrite: likewise.
    """
    check_features(sample.features, settings.num_clusters)
    sides = None
    if settings.fixed_filters or sample.num_backbone:
        sides = Sides(settings.num_features, _LEARNED_WEIGHT, sample.num_backbone, BACKBONE_WEIGHT)
    transform = fit_scaled_transform(
        sample.features, sample.differences, settings.feature_transform, sides
    )
    return cluster(
        sample.features,
        settings.num_clusters,
        iterations=settings.kmeans_iterations,
        seed=settings.seed,
        transform=transform,
        initial_labels=initial_labels,
        overwrite=overwrite,
    )


def cluster(
    features: FloatArray,
    num_clusters: int,
    *,
    iterations: int = 20,
    seed: int = 1,
    transform: FeatureTransform | None = None,
    initial_labels: IntArray | None = None,
    overwrite: bool = False,
) -> Clustering:
    """Cluster pixel features by K-Means.

    Args:
        features: (samples, depth) float32; all samples are used.
        num_clusters: number of centroids.
        iterations: of Lloyd's algorithm.
        seed: fixes the choice of first centroids.
        transform: of the features before distances are measured; None leaves them as they are.
        initial_labels: (samples,) cluster of each sample before the features changed, negative
            for none. K-Means starts from their means, so that a cluster keeps its number though
            features have moved. A cluster without samples starts at one drawn by chance.
        overwrite: features may be overwritten, which spares the memory of a copy.

    Raises:
        ClusteringError: if there are fewer samples than clusters, features are not finite, or
            all features are equal.
    """
    check_features(features, num_clusters)
    transform = transform or fit_feature_transform(features, "none")
    if overwrite and not transform.has_projection:
        points = np.ascontiguousarray(np.subtract(features, transform.offset, out=features))
    else:
        points = transform.apply(features)
    first = (
        None
        if initial_labels is None
        else cluster_means(points, initial_labels, num_clusters, seed)
    )
    centroids = _lloyd(points, num_clusters, iterations, seed, first)
    codebook = Codebook(centroids, transform.offset, transform.projection)
    assignment, distances = _nearest(codebook.centroids, points)
    sizes = np.bincount(assignment, minlength=num_clusters).astype(np.int32)
    return Clustering(codebook, assignment, float(distances.mean(dtype=np.float64)), sizes)


def _lloyd(
    points: FloatArray, num_clusters: int, iterations: int, seed: int, first: FloatArray | None
) -> FloatArray:
    """Return the centroids (clusters, depth) that Lloyd's algorithm finds.

    faiss runs one iteration a call, each from the centroids of the one before. The numbers are
    those of a single call, and signals are answered in between.
    """
    import faiss

    kmeans = faiss.Kmeans(
        points.shape[1],
        num_clusters,
        niter=1,
        seed=seed,
        # faiss would cluster only a part of many points, and warn of few
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
    sums = np.zeros((num_clusters, points.shape[1]))  # in 64 bits: sums of many points
    np.add.at(sums, labels[used], points[used])
    means = sums / np.maximum(sizes, 1)[:, None]
    empty = np.flatnonzero(sizes == 0)
    chosen = np.random.default_rng(seed).choice(len(points), len(empty), replace=False)
    means[empty] = points[chosen]
    return np.ascontiguousarray(means, np.float32)


def _nearest(centroids: FloatArray, points: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the nearest centroid of each point and its squared distance; (samples,) both."""
    import faiss

    index = faiss.IndexFlatL2(centroids.shape[1])
    index.add(np.ascontiguousarray(centroids))
    with _one_thread():
        distances, nearest = index.search(points, 1)
    return np.asarray(nearest[:, 0], np.int32), np.asarray(distances[:, 0], np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep faiss, called from this thread, to one core for the length of a call.

    Its blocks of distances are small. If anything else runs at the same time, several threads
    mostly wait for each other, and take fifteen times the processor time on two cores. If nothing
    does, they save a fraction of a second. And one thread gives the same sums on every machine.
    """
    import faiss

    kept = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(kept)


def check_features(features: AnyArray, num_clusters: int) -> None:
    """Refuse features that cannot be clustered, before a transform is fitted to them.

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
