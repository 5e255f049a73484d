"""Choose among methods by cross-validation over spatial blocks of the labels.

The score is the mean IoU of the confusion of all held-back blocks together. What is below the best
by less than `ERRORS` standard errors of the difference is taken for as good. Of the methods that
are as good, the first in their order is taken; the order is measured, see docs/experiments.md. One
standard error, as for trees (Breiman et al. 1984), is too little: where a dozen methods are equal,
the best score is above the first by more than that in half of the cases.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clusternet.learning.methods import Method
from clusternet.learning.samples import LabelledPixels
from clusternet.learning.spatial_blocks import GAP
from clusternet.legend.land_classes import LandClass
from clusternet.processes.progress import Progress
from clusternet.types import NO_CLASS, BoolArray, IntArray

FOLDS = 5
ERRORS = 2.0
"""Standard errors by which the best must be above another one to be taken for better."""
LEAST_BLOCKS = 3
"""Least number of blocks of every class with which methods are compared."""
PER_CLASS = 1500
"""Most pixels of a class with which methods are compared, because there are dozens of fits."""


@dataclass(frozen=True)
class MethodScore:
    """The result of cross-validation of one method."""

    name: str
    """Name of the method."""
    confusions: NDArray[np.float64]
    """(blocks, classes, classes) held-back labelled pixels by true class and predicted class."""

    @property
    def iou(self) -> NDArray[np.float64]:
        """(classes,) IoU over all blocks together."""
        return _iou(self.confusions.sum(axis=0))

    @property
    def mean_iou(self) -> float:
        """Mean IoU over all blocks together."""
        return float(np.nanmean(self.iou))

    @cached_property
    def without_each(self) -> NDArray[np.float64]:
        """(blocks,) the mean IoU when one block is left out; the values of the jackknife."""
        return np.asarray(np.nanmean(_iou(self.confusions.sum(axis=0) - self.confusions), axis=-1))

    @property
    def error(self) -> float:
        """The standard error of the mean IoU."""
        return _jackknife(self.without_each)


def _iou(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the IoU of each class, NaN where it is neither true nor predicted; (..., classes)."""
    right = np.diagonal(confusions, axis1=-2, axis2=-1)
    either = confusions.sum(axis=-1) + confusions.sum(axis=-2) - right
    return np.where(either > 0, right / np.maximum(either, 1), np.nan)


def _jackknife(values: NDArray[np.float64]) -> float:
    """Return the standard error from values that each leave out one block (Tukey 1958)."""
    count = len(values)
    return float(((count - 1) / count * ((values - values.mean()) ** 2).sum()) ** 0.5)


@dataclass(frozen=True)
class Choice:
    """The method that was chosen, and why."""

    method: Method
    scores: tuple[MethodScore, ...]
    """Scores of all methods in their order; empty if there were too few labels to compare them."""
    numbers: IntArray
    """(classes,) the classes with labels."""
    blocks: IntArray
    """(classes,) spatial blocks that each has labels in."""

    @property
    def score(self) -> MethodScore | None:
        """The score of the chosen method, None if methods were not compared."""
        return next((each for each in self.scores if each.name == self.method.name), None)

    def summary(self, classes: Mapping[int, LandClass]) -> str:
        """Return one line: the method, its score, and the class to label next."""
        name, score, wanted = self.method.name, self.score, classes[self.next_class].name
        if score is None:
            few = f"{self.blocks.min()} block(s) of '{wanted}'"
            return f"method: {name} (too few labels to compare methods: {few}); label more of it"
        iou = float(np.nanmin(score.iou))
        return (
            f"method: {name}, mean IoU {score.mean_iou:.2f} +- {score.error:.2f} on blocks held "
            f"back; label next: {wanted} (IoU {iou:.2f})"
        )

    @property
    def next_class(self) -> int:
        """The class that more labels would help most."""
        score = self.score
        worth = self.blocks if score is None else score.iou
        return int(self.numbers[np.nanargmin(worth)])


def choose(methods: Sequence[Method], pixels: LabelledPixels, *, seed: int = 1) -> Choice:
    """Choose a method.

    Args:
        methods: in the order of preference among methods that are as good.
        pixels: with labels.
        seed: of the folds.
    """
    numbers, blocks = blocks_of_classes(pixels)
    if len(numbers) < 2 or len(methods) < 2 or blocks.min() < LEAST_BLOCKS:
        return Choice(methods[0], (), numbers, blocks)
    pixels = pixels.thinned(PER_CLASS, seed)
    folds = folds_of(pixels, min(FOLDS, int(blocks.min())), seed)
    parts = [(pixels.subset(known), unknown) for known, unknown in folds]
    with Progress(total=len(methods) * len(parts), desc="compare methods", unit="fit") as bar:
        scores = tuple(_cross_validate(method, pixels, parts, numbers, bar) for method in methods)
    best = max(scores, key=lambda each: each.mean_iou)
    equal = (_as_good(each, best) for each in scores)
    return Choice(methods[next(i for i, good in enumerate(equal) if good)], scores, numbers, blocks)


def _as_good(score: MethodScore, best: MethodScore) -> bool:
    """Tell whether the labels leave it open which of two methods does better."""
    error = _jackknife(best.without_each - score.without_each)
    return best.mean_iou - score.mean_iou <= ERRORS * error


def blocks_of_classes(pixels: LabelledPixels) -> tuple[IntArray, IntArray]:
    """Return the classes with labels, and how many blocks each has labels in; (classes,) both."""
    numbers = np.unique(pixels.samples.classes)
    inside = pixels.blocks != GAP
    pairs = np.unique(np.stack([pixels.samples.classes, pixels.blocks])[:, inside], axis=1)
    counts = [int((pairs[0] == number).sum()) for number in numbers]
    return numbers.astype(np.int32), np.array(counts, np.int32)


def folds_of(
    pixels: LabelledPixels, count: int, seed: int
) -> Iterator[tuple[BoolArray, BoolArray]]:
    """Yield which pixels a fit may use, and which are held back; (samples,) both.

    A block is in one of the two, never in both; pixels between blocks are in none.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # here: it takes a second to load

    inside = np.flatnonzero(pixels.blocks != GAP)
    split = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    groups, classes = pixels.blocks[inside], pixels.samples.classes[inside]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer blocks than folds
        for fitted, held_back in split.split(groups, classes, groups):
            known, unknown = (np.zeros(len(pixels.blocks), bool) for _ in range(2))
            known[inside[fitted]], unknown[inside[held_back]] = True, True
            yield known, unknown


def _cross_validate(
    method: Method,
    pixels: LabelledPixels,
    parts: Sequence[tuple[LabelledPixels, BoolArray]],
    numbers: IntArray,
    bar: Progress,
) -> MethodScore:
    samples, predicted = pixels.samples, np.full(len(pixels.blocks), NO_CLASS, np.int32)
    for known, unknown in parts:
        classifier = method.fit(known)
        features, clusters = samples.features[unknown], samples.clusters[unknown]
        predicted[unknown] = classifier.classify(features, clusters)
        bar.update()
    used = predicted != NO_CLASS
    blocks, block_index = np.unique(pixels.blocks[used], return_inverse=True)
    confusions = np.zeros((len(blocks), len(numbers), len(numbers)))
    columns = (np.searchsorted(numbers, each[used]) for each in (samples.classes, predicted))
    np.add.at(confusions, (block_index, *columns), pixels.weights[used])
    return MethodScore(method.name, confusions)
