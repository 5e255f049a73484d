"""A rare class is found, and how many of its pixels is for the user to say."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from clusternet.errors import SettingsError
from clusternet.learning.aims import Preference
from clusternet.learning.classifiers import OffsetClassifier, Samples, Scene
from clusternet.learning.methods import fit_clusters, rule_method
from clusternet.learning.preference import choose_offsets, hold_back
from clusternet.learning.samples import LabelledPixels

BLOCKS, PER_BLOCK = 20, 300
COLUMNS = np.arange(2, dtype=np.int32)
PERCEPTRON, ENSEMBLE = (rule_method(rule, "all", COLUMNS) for rule in ("perceptron", "ensemble"))
REST, RARE = 0, 1


@cache
def scene(seed: int) -> LabelledPixels:
    """Return pixels of which 2 % are of a class that overlaps with the rest."""
    rng = np.random.default_rng(seed)
    blocks = np.repeat(np.arange(BLOCKS, dtype=np.int32), PER_BLOCK)
    classes = (rng.random(len(blocks)) < 0.02).astype(np.int32)
    shift = np.where(classes == RARE, 70, 0)[:, None] * [1, 0]
    features = np.clip(rng.normal(90, 25, (len(blocks), 2)) + shift, 0, 254).astype(np.uint8)
    clusters = (features[:, 1] // 32).astype(np.int32)  # which do not tell it apart
    centroids = np.stack([np.full(8, 90), np.arange(8) * 32 + 16], axis=1).astype(np.float32)
    samples = Samples(features, clusters, classes, BLOCKS)
    weights = np.ones(len(blocks), np.float32)
    return LabelledPixels(samples, blocks, weights, Scene(features, clusters, centroids))


def rates(classifier, pixels: LabelledPixels) -> tuple[float, float]:
    """Return precision and recall of the rare class."""
    found = classifier.classify(pixels.samples.features, pixels.samples.clusters) == RARE
    true = pixels.samples.classes == RARE
    right = (found & true).sum()
    return right / max(found.sum(), 1), right / true.sum()


def preferring(aim: str) -> tuple[float, float]:
    pixels = scene(0)
    held_back = hold_back(PERCEPTRON, pixels, 1)
    assert held_back is not None
    offsets = choose_offsets(held_back, aim, [RARE])
    return rates(OffsetClassifier(PERCEPTRON.fit(pixels), offsets), scene(1))


@pytest.mark.parametrize("method", [PERCEPTRON, ENSEMBLE], ids=lambda method: method.name)
def test_a_rare_class_is_found_where_naming_clusters_loses_it(method) -> None:
    assert rates(fit_clusters(scene(0)), scene(1))[1] == 0
    precision, recall = rates(method.fit(scene(0)), scene(1))
    assert recall > 0.5 and precision > 0.2


def test_what_is_preferred_grows() -> None:
    (precise, few), (middle, some), (loose, most) = map(preferring, ("precision", "iou", "recall"))
    assert precise > middle > loose
    assert few < some < most
    assert few > 0.1 and loose > 0.05


def test_too_few_blocks_tell_nothing() -> None:
    pixels = scene(0)
    assert hold_back(PERCEPTRON, pixels.subset(pixels.blocks < 2), 1) is None


@pytest.mark.parametrize("text", ["", "speed", "recall:", "recall: ", ":roof", "recal:roof"])
def test_a_preference_that_is_none_is_refused(text) -> None:
    with pytest.raises(SettingsError, match="--prefer: expected recall, precision, iou"):
        Preference.parse(text)


def test_a_preference_names_a_class_that_has_labels() -> None:
    assert Preference.parse("recall:dead tree") == Preference("recall", "dead tree")
    assert Preference.parse("iou").numbers({"a": 3, "b": 5}) == [3, 5]
    with pytest.raises(SettingsError, match="expected a class with labels"):
        Preference.parse("iou:c").numbers({"a": 3, "b": 5})
