"""The methods that are compared: a rule, and the features that it is fitted to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from clusternet.clustering.feature_transform import fit_feature_transform
from clusternet.clustering.kmeans import Codebook, cluster
from clusternet.learning.classifiers import Classifier, Scene, margin
from clusternet.learning.rules import fit_rule
from clusternet.learning.samples import LabelledPixels
from clusternet.prediction.quantiser import Quantiser
from clusternet.training.run import Run
from clusternet.types import FloatArray, IntArray, UInt8Array

CLUSTERS = "clusters"
"""Majority of the run's clusters: the published way."""

Views = dict[str, IntArray]
"""Groups of features by name: the columns of the stored features of each."""


def views_of(run: Run, quantiser: Quantiser) -> Views:
    """Return the groups of features that a run has, by name, the first to be preferred."""
    every = np.arange(len(quantiser.kept), dtype=np.int32)
    learned = quantiser.kept < run.settings.num_features
    reduction = run.stored.reduction  # of a backbone, whose features come last
    num_backbone = 0 if reduction is None else reduction.num_features
    backbone = quantiser.kept >= len(run.stored.codebook.offset) - num_backbone
    filters = ~learned & ~backbone
    bands = filters & (quantiser.kept < run.settings.num_features + run.bands.num_bands)
    if not filters.any():
        names = {"backbone and learned features": every, "backbone": every[backbone]}
        return (names if num_backbone else {}) | {"learned features": every[learned]}
    if num_backbone:
        views = {
            "all features": every,
            "filters and backbone": every[~learned],
            "filters and learned features": every[~backbone],
            "filters": every[filters],
            "backbone": every[backbone],
            "bands": every[bands],
        }
    else:
        views = {
            "filters and learned features": every,
            "filters": every[filters],
            "learned features": every[learned],
            "bands": every[bands],
        }
    return {name: columns for name, columns in views.items() if len(columns)}


@dataclass(frozen=True)
class Method:
    """A way from labelled pixels to a classifier."""

    name: str
    """Shown to the user."""
    fit: Callable[[LabelledPixels], Classifier]

    @property
    def is_clusters(self) -> bool:
        """True for the majority of the run's clusters."""
        return self.name == CLUSTERS


@dataclass(frozen=True)
class ViewClassifier:
    """A classifier that looks at some of the features."""

    columns: IntArray
    classifier: Classifier

    @property
    def numbers(self) -> IntArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        return self.classifier.numbers

    def classify(self, features: UInt8Array, clusters: IntArray) -> IntArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        return self.classifier.classify(features[:, self.columns], clusters)

    def probabilities(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        return self.classifier.probabilities(features[:, self.columns], clusters)

    def confidence(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        return self.classifier.confidence(features[:, self.columns], clusters)


@dataclass(frozen=True)
class ClusterShares:
    """Gives each cluster the class probabilities of the labelled pixels in it."""

    numbers: IntArray
    """(classes,) class numbers."""
    shares: FloatArray
    """(clusters, classes) probabilities; each row sums to 1."""
    codebook: Codebook | None = None
    """Of the clusters, in stored units; None for the clusters of the run."""

    def classify(self, features: UInt8Array, clusters: IntArray) -> IntArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        return np.asarray(self.numbers[self.probabilities(features, clusters).argmax(axis=1)])

    def probabilities(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        if self.codebook is not None:
            clusters = self.codebook.assign(features.astype(np.float32))
        return self.shares[clusters]

    def confidence(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        return margin(self.probabilities(features, clusters))


def _shares(
    clusters: IntArray, pixels: LabelledPixels, centroids: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Return the class numbers, and their shares in each cluster.

    A cluster without labels gets the shares of the nearest cluster with labels.
    """
    numbers, columns = np.unique(pixels.samples.classes, return_inverse=True)
    votes = np.zeros((len(centroids), len(numbers)))
    np.add.at(votes, (clusters, columns), pixels.weights)
    touched = votes.sum(axis=1) > 0
    known = centroids[touched]
    # the largest f . c - |c|^2 / 2 is the smallest |f - c|^2
    scores = centroids @ known.T - (known**2).sum(axis=1) / 2
    votes[~touched] = votes[touched][scores.argmax(axis=1)][~touched]
    shares = votes / votes.sum(axis=1, keepdims=True)
    return numbers.astype(np.int32), shares.astype(np.float32)


def fit_clusters(pixels: LabelledPixels) -> Classifier:
    """Name the run's clusters by the majority of their labels."""
    centroids = pixels.scene.centroids
    if pixels.scene.projection is not None:
        centroids = centroids @ pixels.scene.projection
    return ClusterShares(*_shares(pixels.samples.clusters, pixels, centroids))


def cluster_method(name: str, columns: IntArray, scene: Scene, num_clusters: int) -> Method | None:
    """Return the majority of new clusters, made by K-Means on some of the features of the scene.

    None if these features are the same everywhere, because K-Means needs two distinct points.
    """
    values = scene.features[:, columns].astype(np.float32)
    distinct = len(np.unique(values, axis=0))
    if distinct < 2:
        return None
    transform = fit_feature_transform(values, "standardise")
    codebook = cluster(values, min(num_clusters, distinct), transform=transform).codebook

    def fit(pixels: LabelledPixels) -> Classifier:
        clusters = codebook.assign(pixels.samples.features[:, columns].astype(np.float32))
        numbers, shares = _shares(clusters, pixels, codebook.centroids)
        return ViewClassifier(columns, ClusterShares(numbers, shares, codebook))

    return Method(name, fit)


def rule_method(rule: str, name: str, columns: IntArray) -> Method:
    """Return a rule that looks at some of the features."""

    def fit(pixels: LabelledPixels) -> Classifier:
        samples, scene = pixels.samples, pixels.scene
        projection = None if scene.projection is None else scene.projection[columns]
        few = replace(samples, features=samples.features[:, columns])
        view = Scene(scene.features[:, columns], scene.clusters, scene.centroids[:, columns],
                     projection)  # fmt: skip
        return ViewClassifier(columns, fit_rule(rule, few, view))

    return Method(f"{rule} on {name}", fit)


_RULES = ("ensemble", "forest", "logistic")  # the order is measured, docs/experiments.md


def methods_for(run: Run, scene: Scene, *, clusters: bool) -> list[Method]:
    """Return the methods to choose among, in the order in which they are preferred.

    Args:
        run: the run.
        scene: an even sample of its rasters.
        clusters: True to include the methods that name clusters.
    """
    views = views_of(run, Quantiser.of_run(run))
    methods = [rule_method(rule, name, views[name]) for rule in _RULES for name in views]
    if clusters:
        methods.append(Method(CLUSTERS, fit_clusters))
        if "bands" in views:
            count = run.settings.num_clusters
            on_bands = cluster_method("clusters of bands", views["bands"], scene, count)
            methods += [on_bands] if on_bands else []
    return methods
