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
_MOST_OF_SHARES = 0.5  # weight of the estimated shares; with all of it maps of blocks are worse
_LEAST_OF_EQUAL = 0.3  # least share, in equal shares: a rare class would be lost otherwise


@dataclass(frozen=True)
class MeanClassifier:
    """The mean probability of classifiers that know the same classes."""

    members: Sequence[Classifier]

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
        for member in self.members:
            total += member.probabilities(features, clusters)
        total /= len(self.members)
        return total

    def confidence(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        return margin(self.probabilities(features, clusters))


def fit_ensemble(samples: Samples, scene: Scene) -> Classifier:
    """Fit networks and trees; trees have half of the say."""
    numbers = np.unique(samples.classes)
    if len(numbers) == 1:
        return one_class(numbers, samples)
    networks = MeanClassifier([fit_network(samples, scene, each) for each in _NETWORKS])
    # probabilities of trees are too even to estimate shares from
    least = _LEAST_OF_EQUAL / len(numbers)
    shift = shift_of_shares(networks, samples, scene, most=_MOST_OF_SHARES, least=least)
    return OffsetClassifier(MeanClassifier((networks, _fit_trees(samples))), shift)


def _fit_trees(samples: Samples) -> ForestClassifier:
    """Fit extremely randomised trees (Geurts, Ernst and Wehenkel 2006); classes weigh the same."""
    from sklearn.ensemble import ExtraTreesClassifier

    trees = ExtraTreesClassifier(class_weight="balanced", **_TREES)
    trees.fit(samples.features, samples.classes)
    return ForestClassifier(np.asarray(trees.classes_, np.int32), trees)
