"""A network with one small hidden layer, trained on the pixels under strokes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from clusternet.learning.classifiers import (
    Classifier,
    LinearClassifier,
    Samples,
    Scene,
    estimate_shares,
    in_parts,
    make_transform,
    odds_of_both,
    one_class,
    unconverged_is_fine,
)
from clusternet.types import AnyArray, FloatArray, IntArray, UInt8Array

_UNSURE = 2  # strokes a class, up to which the shares of classes cannot be estimated
_SHARE_PIXELS = 4000
_LEAST_SHARE = 1e-3


@dataclass(frozen=True)
class Training:
    """How a network is trained; the defaults are those of the page."""

    units: int = 16
    """Of the hidden layer; with 32 the page scores the same and takes 1.5 times as long."""
    decay: float = 10.0
    """Of the squared weights, over the number of samples (docs/experiments.md)."""
    iterations: int = 45
    """Of L-BFGS; more improve the fit to the strokes, but not the map of the scene."""
    seed: int = 1
    """Of the initial weights."""


Layers = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
"""hidden (depth, units), its bias (units,), output (units, classes), its bias (classes,)."""


@dataclass(frozen=True)
class PerceptronClassifier:
    """Scores of a network with one small hidden layer: ``max(f @ w, floor) @ w' + b'``.

    This equals ``max(f @ w + b, 0)`` with ``floor = -b`` and the constant ``b @ w'`` moved into
    ``b'``. It saves one pass over the hidden units, which take most of the time after the product.
    """

    numbers: IntArray
    """(classes,) the class number that each column stands for."""
    hidden: FloatArray
    """(depth, units)"""
    floor: FloatArray
    """(units,)"""
    output: LinearClassifier
    """From units to classes."""

    def classify(self, features: UInt8Array, clusters: IntArray) -> IntArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        classes = in_parts(features, lambda values: self.output.best(self._units(values)))
        return np.asarray(classes, np.int32)

    def probabilities(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        shares = in_parts(features, lambda values: self.output.shares(self._units(values)))
        return np.asarray(shares, np.float32)

    def confidence(self, features: UInt8Array, clusters: IntArray) -> FloatArray:
        """See `clusternet.learning.classifiers.Classifier`."""
        certain = in_parts(features, lambda values: self.output.certainty(self._units(values)))
        return np.asarray(certain, np.float32)

    def _units(self, values: FloatArray) -> FloatArray:
        units = values @ self.hidden
        return np.asarray(np.maximum(units, self.floor, out=units))


def fit_perceptron(samples: Samples, scene: Scene) -> Classifier:
    """Train a network, and correct it for how common classes are on the scene."""
    fitted = fit_network(samples, scene, Training())
    if isinstance(fitted, LinearClassifier):
        return fitted
    shift = shift_of_shares(fitted, samples, scene)
    return replace(fitted, output=replace(fitted.output, bias=fitted.output.bias + shift))


def fit_network(
    samples: Samples, scene: Scene, training: Training
) -> PerceptronClassifier | LinearClassifier:
    """Train a network on features as K-Means compares them; linear if there is only one class.

    The projection of K-Means makes directions small in which neighbouring pixels differ, because
    these say little about land cover. The penalty on squared weights keeps the network from using
    directions that are small.
    """
    numbers, columns = np.unique(samples.classes, return_inverse=True)
    if len(numbers) == 1:
        return one_class(numbers, samples)
    mean, projection = scene.transform or make_transform(samples, scene.projection)
    values = ((samples.features - mean) @ projection).astype(np.float32)
    layers = train_layers(values, columns, len(numbers), training)
    hidden, hidden_bias, weights, bias = layers
    hidden = projection @ hidden  # so that stored features need no projection
    floor = mean @ hidden - hidden_bias
    folded = (bias - floor @ weights).astype(np.float32)
    output = LinearClassifier(numbers.astype(np.int32), weights, folded)
    return PerceptronClassifier(output.numbers, hidden, floor.astype(np.float32), output)


def shift_of_shares(
    fitted: Classifier,
    samples: Samples,
    scene: Scene,
    *,
    most: float = 1.0,
    least: float = _LEAST_SHARE,
) -> FloatArray:
    """Return what is added to the scores, because classes are not as common as their strokes.

    The shares are estimated on the scene. With few strokes the estimate is poor, so it counts from
    the third stroke a class on, with a weight that grows to ``most``. Shares below ``least`` count
    as that.
    """
    count = len(fitted.numbers)
    strokes = samples.num_strokes / count
    if strokes <= _UNSURE or not len(scene.features):
        return np.zeros(count, np.float32)
    pixels = scene.features[:: max(1, len(scene.features) // _SHARE_PIXELS)]
    shares = fitted.probabilities(pixels, np.zeros(len(pixels), np.int32))
    before = np.full(count, 1 / count)  # the fit gives all classes the same weight
    after = np.maximum(estimate_shares(shares, before), least)
    weight = min(most, 1 - _UNSURE / strokes)
    return np.asarray(weight * np.log(after / before), np.float32)


def train_layers(
    values: FloatArray,
    columns: AnyArray,
    num_classes: int,
    training: Training,
    *,
    balance: float = 1.0,
) -> Layers:
    """Fit the network to samples.

    With ``balance`` 1 all classes have the same total weight, however many of their pixels are
    labelled; with 0 all pixels have the same weight.

    Args:
        values: (samples, depth) float32, standardised.
        columns: (samples,) class of each, from 0.
        num_classes: classes that occur.
        training: size and penalty.
        balance: from 0 to 1.
    """
    from sklearn.neural_network import MLPClassifier  # here: it takes a second to load

    network = MLPClassifier(
        (training.units,), solver="lbfgs", alpha=training.decay, max_iter=training.iterations,
        random_state=training.seed,
    )  # fmt: skip
    worth = ((len(columns) / (num_classes * np.bincount(columns))) ** balance)[columns]
    with unconverged_is_fine():
        network.fit(values, columns, sample_weight=worth)
    hidden, output = network.coefs_
    hidden_bias, bias = network.intercepts_
    if num_classes == 2:
        weights, bias = odds_of_both(output.T, bias)
        output = weights.T
    return hidden, hidden_bias, output, bias
