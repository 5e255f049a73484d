"""Rules that are fitted to labelled pixels and give every pixel a class.

They have one interface, `Classifier`.

All but the forest need one or two small matrix products and an argmax, so a map can be updated
after each stroke. benchmarks/strokes.py compares them, benchmarks/view.py times
what a page shows of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clusternet.types import AnyArray, FloatArray, IntArray, UInt8Array

_FOREST = dict(n_estimators=40, max_depth=12, min_samples_leaf=2, n_jobs=1)
_SMOOTHING = 1e-6
_SHARE_ITERATIONS = 30
LEAST_PROBABILITY = 1e-6
"""Probabilities below count as this much, so that their logarithms are finite."""
_AT_ONCE = 4096  # pixels; as float32 their features stay in the processor's cache


class Standardised:
    """Features whose mean and standard deviation are computed once."""

    features: UInt8Array

    @cached_property
    def standard(self) -> tuple[FloatArray, FloatArray]:
        """The mean of the features and one over their deviation; (depth,) both."""
        values = self.features.astype(np.float32)
        deviation = values.std(axis=0)
        scale = np.where(deviation > _SMOOTHING, 1 / np.maximum(deviation, _SMOOTHING), 0)
        return values.mean(axis=0), scale.astype(np.float32)


LinearTransform = tuple[FloatArray, FloatArray]
"""(depth,) mean that is subtracted from features, (depth, dimensions) matrix from the right."""


def make_transform(values: Standardised, projection: FloatArray | None) -> LinearTransform:
    """Return a transform with which the mean variance of ``values`` is 1.

    Without a projection every feature is standardised by itself.
    """
    mean, scale = values.standard
    if projection is None:
        return mean, np.diag(scale)
    variance = float(((values.features - mean) @ projection).var(axis=0).mean())
    return mean, projection / np.float32(max(variance, _SMOOTHING) ** 0.5)


@dataclass(frozen=True)
class Samples(Standardised):
    """Pixels that strokes lie on."""

    features: UInt8Array
    """(samples, depth) as stored."""
    clusters: IntArray
    """(samples,) cluster of each."""
    classes: IntArray
    """(samples,) class number of each."""
    num_strokes: int = 0
    """Number of strokes that the pixels were taken from; 0 if it is not known."""


class Classifier(Protocol):
    """A rule that has been fitted to strokes."""

    @property
    def numbers(self) -> IntArray:
        """(classes,) the class numbers that it can give."""

    def classify(self, features: UInt8Array, clusters: IntArray) -> IntArray:
        """Return the class number of pixels; (pixels, depth), (pixels,) -> (pixels,)."""

    def probabilities(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """Return the probability of each class; (pixels, classes), each row sums to 1."""

    def confidence(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """Return the confidence, from 0 (two classes equally likely) to 1 (certain); (pixels,)."""


@dataclass(frozen=True)
class LinearClassifier:
    """Scores ``features @ weights + bias``, the largest wins."""

    numbers: IntArray
    """(classes,) the class number that each column stands for."""
    weights: FloatArray
    """(depth, classes)"""
    bias: FloatArray
    """(classes,)"""
    squared: bool = False
    """True if scores are half squared distances (negative), False if they are log-odds."""

    def classify(self, features: AnyArray, clusters: IntArray) -> IntArray:
        """See `Classifier.classify`."""
        if len(self.numbers) == 1:
            return np.full(len(features), self.numbers[0], np.int32)
        return np.asarray(in_parts(features, self.best), np.int32)

    def best(self, values: FloatArray) -> IntArray:
        """Return the class number of each of a few pixels; (pixels, depth) float32."""
        return np.asarray(self.numbers[self._scores(values).argmax(axis=1)])

    def probabilities(self, features: AnyArray, clusters: IntArray) -> FloatArray:
        """See `Classifier.probabilities`."""
        return np.asarray(in_parts(features, self.shares), np.float32)

    def shares(self, values: FloatArray) -> FloatArray:
        """Return the class probabilities of a few pixels; (pixels, depth) -> (pixels, classes)."""
        # Classes come first, because NumPy is slow at maxima and sums over a short last axis.
        scores = np.ascontiguousarray(self._scores(values).T)
        scores -= scores.max(axis=0)  # so that exp cannot overflow
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=0)
        return scores.T

    def confidence(self, features: AnyArray, clusters: IntArray) -> FloatArray:
        """See `Classifier.confidence`: the difference of the two largest probabilities."""
        if len(self.numbers) == 1:
            return np.ones(len(features), np.float32)
        return np.asarray(in_parts(features, self.certainty), np.float32)

    def certainty(self, values: FloatArray) -> FloatArray:
        """Return the confidence of each of a few pixels; (pixels, depth) float32."""
        if self.squared:
            # |f - c|^2 = |f|^2 - 2 (f . c - |c|^2 / 2), and the score is the bracket
            scores = self._scores(values)
            squares = np.einsum("ij,ij->i", values, values)[:, None] - 2 * scores
            near = np.sqrt(np.maximum(np.partition(squares, 1, axis=1)[:, :2], 0))
            return np.asarray(1 - near[:, 0] / np.maximum(near[:, 1], 1e-6), np.float32)
        return margin(self.shares(values))

    def _scores(self, values: FloatArray) -> FloatArray:
        scores = values @ self.weights
        scores += self.bias
        return np.asarray(scores)


def margin(probabilities: FloatArray) -> FloatArray:
    """Return the difference of the two largest probabilities, 1 for one class; (pixels,)."""
    if probabilities.shape[1] == 1:
        return np.ones(len(probabilities), np.float32)
    best = np.partition(probabilities, -2, axis=1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0], np.float32)


def in_parts(features: AnyArray, step: Callable[[FloatArray], AnyArray]) -> AnyArray:
    """Apply a step to pixels as float32, so few at a time that they stay in the cache.

    Args:
        features: (pixels, depth) as stored.
        step: (few pixels, depth) float32 -> (few pixels,).
    """
    values = np.empty((min(_AT_ONCE, len(features)), features.shape[1]), np.float32)
    results = []
    for first in range(0, max(1, len(features)), _AT_ONCE):
        few = features[first : first + _AT_ONCE]
        np.copyto(values[: len(few)], few)
        results.append(step(values[: len(few)]))
    return np.concatenate(results)


@dataclass(frozen=True)
class OffsetClassifier:
    """A classifier whose probabilities are shifted, and then sum to 1 again."""

    classifier: Classifier
    offsets: FloatArray
    """(classes,) added to the logarithm of each probability."""

    @property
    def numbers(self) -> IntArray:
        """See `Classifier`."""
        return self.classifier.numbers

    def classify(self, features: UInt8Array, clusters: IntArray) -> IntArray:
        """See `Classifier`."""
        return np.asarray(self.numbers[self.probabilities(features, clusters).argmax(axis=1)])

    def probabilities(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `Classifier`."""
        shares = np.maximum(self.classifier.probabilities(features, clusters), LEAST_PROBABILITY)
        shares = shares * np.exp(self.offsets)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)

    def confidence(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `Classifier`."""
        return margin(self.probabilities(features, clusters))


@dataclass(frozen=True)
class ForestClassifier:
    """A random forest; ten times slower than the others, too slow to update a map while drawing."""

    numbers: IntArray
    forest: Any

    def classify(self, features: UInt8Array, clusters: IntArray) -> IntArray:
        """See `Classifier.classify`."""
        return np.asarray(self.numbers[self.forest.predict_proba(features).argmax(axis=1)])

    def probabilities(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `Classifier.probabilities`."""
        return np.asarray(self.forest.predict_proba(features), np.float32)

    def confidence(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `Classifier.confidence`."""
        return margin(self.forest.predict_proba(features))


@dataclass(frozen=True)
class Scene(Standardised):
    """An even sample of the scene, and the centroids and projection of the run."""

    features: UInt8Array
    """(pixels, depth) an even sample of the scene."""
    clusters: IntArray
    """(pixels,)"""
    centroids: FloatArray
    """(clusters, depth) of the run, in stored units."""
    projection: FloatArray | None = None
    """(depth, dimensions) from stored units to those of K-Means; None if it has none."""

    @cached_property
    def transform(self) -> LinearTransform | None:
        """From stored features to those of K-Means; None without pixels to fit the mean to."""
        return make_transform(self, self.projection) if len(self.features) else None


def estimate_shares(probabilities: FloatArray, before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate how common classes are on a scene that a classifier has not seen.

    By expectation maximisation (Saerens, Latinne and Decaestecker 2002): each round takes the mean
    probabilities as the shares, and corrects the probabilities by the new shares.

    Args:
        probabilities: (pixels, classes) of pixels of the scene.
        before: (classes,) shares of the classes that the classifier was fitted with.

    Returns:
        (classes,) shares, 1 in sum.
    """
    shares = before
    for _ in range(_SHARE_ITERATIONS):
        corrected = probabilities * (shares / before)
        corrected /= corrected.sum(axis=1, keepdims=True)
        shares = corrected.mean(axis=0)
    return shares


def fit_centroids(samples: Samples, scene: Scene) -> Classifier:
    """Nearest labelled centroid: each class is the mean of the features under its strokes."""
    numbers = np.unique(samples.classes)
    values = samples.features.astype(np.float32)
    means = np.stack([values[samples.classes == number].mean(axis=0) for number in numbers])
    return nearest(numbers, means)


def nearest(numbers: AnyArray, centroids: FloatArray) -> LinearClassifier:
    """Return the rule of the nearest centroid: argmax of f . c - |c|^2 / 2."""
    bias = -(centroids.astype(np.float64) ** 2).sum(axis=1) / 2
    return LinearClassifier(
        numbers.astype(np.int32), centroids.T.astype(np.float32), bias.astype(np.float32), True
    )


def fit_logistic(samples: Samples, scene: Scene) -> Classifier:
    """Multinomial logistic regression on features that are standardised over the scene.

    All classes have the same total weight, however many of their pixels are labelled.
    """
    from sklearn.linear_model import LogisticRegression  # here: it takes a second to load

    numbers = np.unique(samples.classes)
    if len(numbers) == 1:
        return one_class(numbers, samples)
    mean, scale = scene.standard if len(scene.features) else samples.standard
    model = LogisticRegression(C=0.1, max_iter=60, tol=1e-2, class_weight="balanced")
    with unconverged_is_fine():
        model.fit((samples.features - mean) * scale, samples.classes)
    weights, bias = model.coef_, model.intercept_
    if len(numbers) == 2:
        weights, bias = odds_of_both(weights, bias)
    weights = weights * scale  # so that stored features need no standardisation
    return LinearClassifier(
        numbers.astype(np.int32),
        weights.T.astype(np.float32),
        (bias - weights @ mean).astype(np.float32),
    )


def odds_of_both(weights: AnyArray, bias: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Give each of two classes a row; scikit-learn fits only the log-odds of the second.

    Args:
        weights: (1, depth) of the second class.
        bias: (1,)

    Returns:
        weights (2, depth) and bias (2,), each the mirror image of the other.
    """
    return np.vstack([-weights, weights]) / 2, np.append(-bias, bias) / 2


@contextmanager
def unconverged_is_fine() -> Iterator[None]:
    """Silence the warning that a fit stopped early; one that converges overfits the strokes."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def one_class(numbers: AnyArray, samples: Samples) -> LinearClassifier:
    """Return the rule that gives the only class there is."""
    weights = np.zeros((samples.features.shape[1], 1), np.float32)
    return LinearClassifier(numbers.astype(np.int32), weights, np.zeros(1, np.float32))


def fit_forest(samples: Samples, scene: Scene) -> Classifier:
    """Fit a small random forest."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(random_state=1, class_weight="balanced", **_FOREST)
    forest.fit(samples.features, samples.classes)
    return ForestClassifier(np.asarray(forest.classes_, np.int32), forest)
