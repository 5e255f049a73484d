"""The mean of a few networks and of randomised trees.

Networks that start from other weights err in other places, and trees err elsewhere again. Their
mean has a higher score than each of them (docs/experiments.md). It takes too long for a map that
follows the pen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clusternet.learning.classifiers import (
    Classifier,
    ForestClassifier,
    OffsetClassifier,
    Samples,
    Scene,
    margin,
    one_class,
)
from clusternet.learning.perceptron import Training, fit_network, shift_of_shares
from clusternet.types import FloatArray, IntArray, UInt8Array

_NETWORKS = tuple(Training(units=32, decay=50.0, iterations=60, seed=seed) for seed in range(1, 6))
_TREES = dict(n_estimators=30, min_samples_leaf=2, n_jobs=1, random_state=1)
_SAY_OF_TREES = 0.25  # of the mean; with half of it areas that the run never saw lose .01
_MOST_OF_SHARES = 0.5  # weight of the estimated shares; with all of it maps of blocks are worse
_LEAST_OF_EQUAL = 0.3  # least share, in equal shares: a rare class would be lost otherwise


@dataclass(frozen=True)
class MeanClassifier:
    """The mean probability of classifiers that know the same classes."""

    members: Sequence[Classifier]
    weights: Sequence[float] | None = None
    """Of the members, 1 in sum; None if all are equal."""

    @property
    def numbers(self) -> IntArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        return self.members[0].numbers

    def classify(self, features: UInt8Array, clusters: IntArray) -> IntArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        return np.asarray(self.numbers[self.probabilities(features, clusters).argmax(axis=1)])

    def probabilities(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        total = np.zeros((len(features), len(self.numbers)), np.float32)
        weights = self.weights or [1 / len(self.members)] * len(self.members)
        for member, weight in zip(self.members, weights, strict=True):
            total += np.float32(weight) * member.probabilities(features, clusters)
        return total

    def confidence(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        return margin(self.probabilities(features, clusters))


def fit_ensemble(samples: Samples, scene: Scene) -> Classifier:
    """Fit networks and trees."""
    numbers = np.unique(samples.classes)
    if len(numbers) == 1:
        return one_class(numbers, samples)
    networks = MeanClassifier([fit_network(samples, scene, each) for each in _NETWORKS])
    # probabilities of trees are too even to estimate shares from
    least = _LEAST_OF_EQUAL / len(numbers)
    shift = shift_of_shares(networks, samples, scene, most=_MOST_OF_SHARES, least=least)
    members, say = (networks, _fit_trees(samples)), (1 - _SAY_OF_TREES, _SAY_OF_TREES)
    return OffsetClassifier(MeanClassifier(members, say), shift)


def _fit_trees(samples: Samples) -> ForestClassifier:
    """Fit extremely randomised trees (Geurts, Ernst and Wehenkel 2006); classes weigh the same."""
    from sklearn.ensemble import ExtraTreesClassifier

    trees = ExtraTreesClassifier(class_weight="balanced", **_TREES)
    trees.fit(samples.features, samples.classes)
    return ForestClassifier(np.asarray(trees.classes_, np.int32), trees)
