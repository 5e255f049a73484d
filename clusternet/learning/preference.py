"""Offsets of log-probabilities that serve what matters to the user.

A classifier that knows how rare a class is gives it to hardly any pixel. One that takes all classes
for equally common gives it to too many. Offsets move the balance. They are chosen on labels that
were held back, by the F-score of a class (van Rijsbergen 1979). With beta 1 it grows with the IoU.
With beta 2 recall counts more, with beta 1/2 precision does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clusternet.learning.aims import Aim
from clusternet.learning.choice import FOLDS, LEAST_BLOCKS, blocks_of_classes, folds_of
from clusternet.learning.classifiers import LEAST_PROBABILITY
from clusternet.learning.methods import Method
from clusternet.learning.samples import LabelledPixels
from clusternet.types import AnyArray, BoolArray, FloatArray, IntArray

_BETA = {"recall": 2.0, "precision": 0.5, "iou": 1.0}
_OFFSETS = np.arange(-5, 5.01, 0.25)
_ROUNDS = 2  # over all classes, because the offset of one changes the best offset of others


@dataclass(frozen=True)
class HeldBack:
    """Probabilities of labelled pixels, each from a fit that left the pixel out."""

    numbers: IntArray
    """(classes,) class numbers."""
    logs: NDArray[np.float64]
    """(samples, classes) logarithms of probabilities."""
    truth: IntArray
    """(samples,) column of each pixel's class."""
    weights: FloatArray
    """(samples,) labelled pixels that each stands for."""

    def rates(self, offsets: AnyArray, column: int) -> tuple[float, float]:
        """Return precision and recall of a class, with offsets."""
        given = (self.logs + offsets).argmax(axis=1) == column
        is_true = self.truth == column
        right = float(self.weights[given & is_true].sum())
        return (
            right / max(float(self.weights[given].sum()), LEAST_PROBABILITY),
            right / max(float(self.weights[is_true].sum()), LEAST_PROBABILITY),
        )


def hold_back(method: Method, pixels: LabelledPixels, seed: int) -> HeldBack | None:
    """Return cross-validated probabilities; None if a class has labels in too few blocks."""
    numbers, blocks = blocks_of_classes(pixels)
    if len(numbers) < 2 or blocks.min() < LEAST_BLOCKS:
        return None
    samples = pixels.samples
    shares = np.zeros((len(samples.classes), len(numbers)))
    tested: BoolArray = np.zeros(len(shares), bool)
    for known, unknown in folds_of(pixels, min(FOLDS, int(blocks.min())), seed):
        classifier = method.fit(pixels.subset(known))
        columns = np.searchsorted(numbers, classifier.numbers)
        features, clusters = samples.features[unknown], samples.clusters[unknown]
        shares[np.ix_(unknown, columns)] = classifier.probabilities(features, clusters)
        tested |= unknown
    logs = np.log(np.maximum(shares[tested], LEAST_PROBABILITY))
    truth = np.searchsorted(numbers, samples.classes[tested]).astype(np.int32)
    return HeldBack(numbers, logs, truth, pixels.weights[tested])


def choose_offsets(held_back: HeldBack, aim: Aim, wanted: Sequence[int]) -> FloatArray:
    """Return the offset of each class that serves the aim best; (classes,).

    Args:
        held_back: probabilities of labelled pixels that were held back.
        aim: fixes beta of the F-score, whose mean over the wanted classes is maximised.
        wanted: class numbers.
    """
    columns = np.searchsorted(held_back.numbers, np.asarray(wanted))
    offsets = np.zeros(len(held_back.numbers))

    def worth(tried: NDArray[np.float64]) -> float:
        rates = (held_back.rates(tried, int(column)) for column in columns)
        return float(np.mean([_f_score(*each, _BETA[aim]) for each in rates]))

    for _ in range(_ROUNDS if len(columns) > 1 else 1):
        for column in columns:
            tries = []
            for offset in sorted(_OFFSETS, key=abs):  # among equals the smallest
                tried = offsets.copy()
                tried[column] = offset
                tries.append(tried)
            offsets = max(tries, key=worth)
    return offsets.astype(np.float32)


def _f_score(precision: float, recall: float, beta: float) -> float:
    both = beta**2 * precision + recall
    return (1 + beta**2) * precision * recall / both if both > 0 else 0.0
