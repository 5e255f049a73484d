"""The published rule: clusters take the class of the strokes on them, or are split by them.

Girard et al. 2019 let a person draw strokes of two classes. A cluster that strokes of one class
touch takes that class; one that strokes of several classes touch, each with a share of at least
30 %, is split by K-Means that starts at the mean features of each class's strokes. Here the
classes may be many; a cluster that no stroke touches takes the class of the nearest touched one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clusternet.clustering.kmeans import cluster
from clusternet.learning.classifiers import LinearClassifier, Samples, Scene, nearest
from clusternet.metrics import contingency_table, majority_mapping
from clusternet.types import AnyArray, FloatArray, IntArray, UInt8Array

SPLIT_SHARE = 0.3
"""Share of a cluster's pixels under strokes from which on a class counts in it."""
_ITERATIONS = 10


@dataclass(frozen=True)
class ClusterClassifier:
    """A class for each cluster, and a nearest-centroid rule inside those that were split."""

    numbers: IntArray
    table: IntArray
    """(clusters,) class number of each cluster; of split ones the most frequent class."""
    splits: dict[int, LinearClassifier]
    """The rule inside each cluster that was split."""
    centroids: LinearClassifier
    """Nearest of all centroids, for the confidence; its numbers are classes, with repeats."""

    def classify(self, features: UInt8Array, clusters: IntArray) -> IntArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        classes: IntArray = self.table[clusters]
        for number, rule in self.splits.items():
            inside = np.flatnonzero(clusters == number)
            if len(inside):
                classes[inside] = rule.classify(features[inside], clusters[inside])
        return classes

    def probabilities(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `clusternet.learning.classifiers.Classifier`; all for the class it gives."""
        classes = self.classify(features, clusters)
        return np.asarray(classes[:, None] == self.numbers, np.float32)

    def confidence(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """One minus the ratio of the distances to the nearest class and to the next one."""
        if len(self.numbers) == 1:
            return np.ones(len(features), np.float32)
        rule = self.centroids
        values = features.astype(np.float32)
        scores = values @ rule.weights + rule.bias
        best = np.stack([scores[:, rule.numbers == n].max(axis=1) for n in self.numbers], axis=1)
        squares = np.einsum("ij,ij->i", values, values)[:, None] - 2 * best
        near = np.sqrt(np.maximum(np.partition(squares, 1, axis=1)[:, :2], 0))
        return np.asarray(1 - near[:, 0] / np.maximum(near[:, 1], 1e-6), np.float32)


def fit_published(samples: Samples, scene: Scene) -> ClusterClassifier:
    """Apply the rule; see the module's description."""
    numbers = np.unique(samples.classes)
    columns = np.searchsorted(numbers, samples.classes)
    votes = contingency_table(samples.clusters, columns, len(scene.centroids), len(numbers))
    touched = votes.sum(axis=1) > 0
    splits = {
        int(shared): _split(int(shared), votes[shared], numbers, samples, scene)
        for shared in np.flatnonzero(_shared(votes).sum(axis=1) > 1)
    }
    table = numbers[majority_mapping(votes)]
    labelled = nearest(table[touched], scene.centroids[touched])
    table[~touched] = labelled.numbers[_nearest_index(labelled, scene.centroids[~touched])]
    whole = np.array([c for c in range(len(table)) if c not in splits], int)
    parts = [(rule.numbers, rule.weights.T) for rule in splits.values()]
    every = nearest(
        np.concatenate([table[whole], *(n for n, _ in parts)]),
        np.concatenate([scene.centroids[whole], *(c for _, c in parts)]),
    )
    return ClusterClassifier(numbers.astype(np.int32), table.astype(np.int32), splits, every)


def _shared(votes: AnyArray) -> AnyArray:
    """Return which classes have `SPLIT_SHARE` of each cluster or more; (clusters, classes)."""
    total = np.maximum(votes.sum(axis=1, keepdims=True), 1)
    return np.asarray(votes / total >= SPLIT_SHARE)


def _split(
    cluster_number: int, votes: AnyArray, numbers: AnyArray, samples: Samples, scene: Scene
) -> LinearClassifier:
    """Split one cluster by K-Means that starts at the strokes' mean features."""
    inside = samples.clusters == cluster_number
    classes = numbers[_shared(votes[None])[0]]
    drawn = np.where(samples.classes[inside, None] == classes, np.arange(len(classes)), -1)
    others = scene.features[scene.clusters == cluster_number]
    pixels = np.concatenate([samples.features[inside], others]).astype(np.float32)
    start = np.append(drawn.max(axis=1), np.full(len(others), -1))
    if (pixels == pixels[0]).all():  # K-Means refuses pixels that are all equal
        return nearest(classes, pixels[:1].repeat(len(classes), axis=0))
    codebook = cluster(pixels, len(classes), iterations=_ITERATIONS, initial_labels=start).codebook
    return nearest(classes, codebook.centroids + codebook.offset)


def _nearest_index(rule: LinearClassifier, values: FloatArray) -> AnyArray:
    return np.asarray((values @ rule.weights + rule.bias).argmax(axis=1))
