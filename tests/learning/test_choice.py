"""The method that suits the labels is chosen, and none by noise."""

from __future__ import annotations

import numpy as np
import pytest

from clusternet.learning.choice import choose
from clusternet.learning.classifiers import Samples, Scene
from clusternet.learning.methods import CLUSTERS, Method, fit_clusters, rule_method
from clusternet.learning.samples import LabelledPixels
from clusternet.legend.land_classes import make_classes

PER_BLOCK = 20


def labelled(features, classes, blocks, clusters=None) -> LabelledPixels:
    """Return pixels of a scene that is like the labels."""
    features = np.asarray(features, np.uint8)
    classes = np.asarray(classes, np.int32)
    clusters = np.zeros(len(classes), np.int32) if clusters is None else clusters
    centroids = np.zeros((int(clusters.max()) + 1, features.shape[1]), np.float32)
    scene = Scene(features, clusters, centroids)
    samples = Samples(features, clusters, classes, len(np.unique(blocks)))
    return LabelledPixels(samples, blocks, np.ones(len(classes), np.float32), scene)


def blocks_of(count: int) -> np.ndarray:
    return np.repeat(np.arange(count, dtype=np.int32), PER_BLOCK)


COLUMNS = np.arange(2, dtype=np.int32)
RULES = [rule_method(rule, "all", COLUMNS) for rule in ("logistic", "forest", "perceptron")]


def test_where_only_the_perceptron_can_tell_classes_apart_it_is_chosen() -> None:
    rng = np.random.default_rng(0)
    blocks = blocks_of(24)
    corner = rng.integers(0, 2, (len(blocks), 2))
    features = 60 + 120 * corner + rng.integers(-20, 20, corner.shape)
    pixels = labelled(features, corner[:, 0] ^ corner[:, 1], blocks)
    choice = choose([Method(CLUSTERS, fit_clusters), RULES[0], RULES[2]], pixels)
    assert choice.method.name == "perceptron on all"
    assert choice.score is not None and choice.score.mean_iou > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_where_nothing_can_be_learned_the_first_method_is_kept(seed) -> None:
    rng = np.random.default_rng(seed)
    blocks = blocks_of(12)
    features = rng.integers(0, 255, (len(blocks), 2))
    classes = rng.integers(0, 2, 12)[blocks]
    classes[: 3 * PER_BLOCK], classes[-3 * PER_BLOCK :] = 0, 1  # blocks enough of both
    for first in range(3):
        order = RULES[first:] + RULES[:first]
        choice = choose(order, labelled(features, classes, blocks), seed=seed)
        assert choice.method is order[0]


def test_with_one_polygon_a_class_nothing_is_compared() -> None:
    blocks = blocks_of(2)
    pixels = labelled(np.zeros((len(blocks), 2)), blocks, blocks)
    choice = choose(RULES, pixels)
    assert choice.method is RULES[0] and choice.scores == ()
    assert "too few labels" in choice.summary(make_classes([0, 1]))


def test_the_class_that_is_told_apart_worst_is_labelled_next() -> None:
    rng = np.random.default_rng(0)
    blocks = blocks_of(24)
    classes = (blocks % 3).astype(np.int32)
    features = np.stack([np.where(classes == 0, 20, 200), rng.integers(0, 255, len(blocks))], 1)
    choice = choose(RULES, labelled(features, classes, blocks))
    assert choice.next_class in (1, 2)
    assert f"label next: class {choice.next_class}" in choice.summary(make_classes([0, 1, 2]))


def test_a_cluster_without_labels_takes_after_the_nearest_that_has_some() -> None:
    blocks = blocks_of(4)
    clusters = (blocks % 2).astype(np.int32)
    pixels = labelled(np.zeros((len(blocks), 2)), clusters, blocks, clusters)
    centroids = np.array([[0, 0], [100, 0], [90, 0]], np.float32)
    scene = Scene(pixels.scene.features, clusters, centroids)
    found = fit_clusters(
        LabelledPixels(pixels.samples, pixels.blocks, pixels.weights, scene)
    ).classify(np.zeros((3, 2), np.uint8), np.array([0, 1, 2], np.int32))
    np.testing.assert_array_equal(found, [0, 1, 1])
