"""Classes are learned from labels, clusters are not, and both go on together."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from memory_training import SETTINGS, Recorder, Training, make_training, random_patches

from clusternet.clustering.kmeans import Codebook
from clusternet.fine_tuning.class_learner import ClassLearner, class_weights
from clusternet.fine_tuning.labelled_data import LabelledData
from clusternet.fine_tuning.loop import fine_tune_network, rate_of
from clusternet.fine_tuning.patch_labels import IGNORE, PatchLabels
from clusternet.legend.land_classes import LandClass
from clusternet.patches.batches import Batch
from clusternet.training.learner import Learner

PATCHES = random_patches()
CLASSES = (LandClass(2, "dark", (1, 2, 3)), LandClass(5, "bright", (4, 5, 6)))
LABELLED = (0, 4, 6)
FINE = replace(SETTINGS, num_epochs=2, cluster_weight=0.5)

pytestmark = pytest.mark.usefixtures("eagerly")


def make_labels(columns: np.ndarray) -> PatchLabels:
    """Return labels (patches, rows, cols) of the patches `LABELLED`, in the left half alone."""
    packed, counts = {}, {}
    for patch in LABELLED:
        known = columns[patch].astype(np.int32)
        known[:, 16:] = IGNORE
        file = f"scene/{patch:02d}.png"
        packed[file] = zlib.compress(known.tobytes())
        counts[file] = np.bincount(known[known >= 0], minlength=2)
    return PatchLabels(CLASSES, (32, 32), counts, packed)


BY_BRIGHTNESS = make_labels(PATCHES.pixels[..., 0] > 0)
BY_CHANCE = make_labels(np.random.default_rng(9).integers(0, 2, PATCHES.pixels.shape[:3]))


class Watched(ClassLearner):
    """Keeps what it is given to learn."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.pseudo_labels: list[np.ndarray] = []
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def label(self, batch: Batch) -> np.ndarray:
        self.pseudo_labels.append(super().label(batch))
        return self.pseudo_labels[-1]

    def fit_both(self, pixels: np.ndarray, clusters: np.ndarray, classes: np.ndarray) -> float:
        self.seen.append((clusters, classes))
        return super().fit_both(pixels, clusters, classes)


_made: dict[tuple[str, float, bool], tuple[Watched, dict[str, np.ndarray]]] = {}


def make(labels: PatchLabels, **changes: Any) -> Training:
    """Return a training that has not started; networks are built once, and come back as new."""

    def as_new(num_bands: int, shape: Any, settings: Any, batch_size: int) -> Watched:
        key = labels.digest, settings.cluster_weight, settings.fixed_filters
        if key not in _made:
            learner = Watched(num_bands, shape, settings, batch_size, labels)
            _made[key] = learner, Learner.state(learner)
        learner, first = _made[key]
        Learner.restore(learner, first)
        learner._teaches, learner.pseudo_labels, learner.seen = False, [], []
        return learner

    return make_training(as_new, replace(FINE, **changes), PATCHES)


def tuned(
    labels: PatchLabels, codebook: Codebook | None = None, **changes: Any
) -> tuple[Training, LabelledData]:
    """Fine-tune a tiny network of fixed first weights."""
    training = make(labels, **changes)
    labelled = LabelledData(training.data, labels)
    fine_tune_network(training.learner, labelled, training.observer, 0, codebook)
    return training, labelled


def everything(labelled: LabelledData) -> Batch:
    pick = np.array([0, 4])
    return Batch(pick, PATCHES.pixels[pick], PATCHES.valid[pick])


def test_labels_never_enter_the_clusters_that_are_learned() -> None:
    one, _ = tuned(BY_BRIGHTNESS)
    other, _ = tuned(BY_CHANCE)
    assert one.learner is not other.learner
    first = [training.observer.clusterings[0].codebook for training in (one, other)]
    np.testing.assert_array_equal(first[0].centroids, first[1].centroids)
    assert len(one.learner.pseudo_labels) == len(other.learner.pseudo_labels) >= 8
    for mine, yours in zip(one.learner.pseudo_labels, other.learner.pseudo_labels, strict=True):
        np.testing.assert_array_equal(mine, yours)
    moved = [training.learner.network.get_weights()[0] for training in (one, other)]
    assert (moved[0] != moved[1]).any()  # labels have changed the network all the same


def test_a_pixel_has_either_a_class_or_a_cluster() -> None:
    training, _ = tuned(BY_BRIGHTNESS, num_epochs=1)
    for clusters, classes in training.learner.seen:
        assert not ((clusters >= 0) & (classes >= 0)).any()
        assert (classes[2:] >= 0).any(axis=(1, 2)).all()  # the second half has labels
    clusters, classes = (np.concatenate(each) for each in zip(*training.learner.seen, strict=True))
    assert (clusters >= 0).any() and set(np.unique(classes)) == {IGNORE, 0, 1}


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_both_losses_reach_the_network(weight: float) -> None:
    layers = ("logits", "down0_conv1", "class_scores", "class_space")
    kernels = []
    for epochs in (0, 1):
        learner = tuned(BY_BRIGHTNESS, num_epochs=epochs, cluster_weight=weight)[0].learner
        models = (learner.network, learner.network, learner._classifier, learner._classifier)
        pairs = zip(models, layers, strict=True)
        kernels.append([model.get_layer(name).get_weights()[0] for model, name in pairs])
    changed = [bool((one != other).any()) for one, other in zip(*kernels, strict=True)]
    assert changed == [weight > 0, True, True, False]


def test_the_head_begins_as_a_classifier_of_the_labels() -> None:
    training, labelled = tuned(BY_BRIGHTNESS, num_epochs=0, fixed_filters=True)
    batch = everything(labelled)
    found = training.learner.classify(batch)
    assert (found[~batch.valid] == IGNORE).all()
    right = found == (batch.pixels[..., 0] > 0)
    assert right[batch.valid].mean() > 0.9


def test_the_clusters_of_a_run_are_those_that_are_learned() -> None:
    before, labelled = tuned(BY_CHANCE, num_epochs=0)
    codebook, batch = before.observer.clusterings[0].codebook, everything(labelled)
    labels = before.learner.label(batch)
    moved = replace(codebook, centroids=codebook.centroids[::-1].copy())
    training, _ = tuned(BY_CHANCE, moved, num_epochs=1)
    found = training.learner.label(batch)
    np.testing.assert_array_equal(found[batch.valid], 4 - labels[batch.valid])


def test_a_resumed_fine_tuning_ends_like_one_that_was_not_stopped() -> None:
    whole = tuned(BY_BRIGHTNESS, augment=True)[0].learner.state()
    training, stopped = make(BY_BRIGHTNESS, augment=True), Stopped()
    labelled = LabelledData(training.data, BY_BRIGHTNESS)
    with pytest.raises(KeyboardInterrupt):
        fine_tune_network(training.learner, labelled, stopped, 0)
    state = {name: value.copy() for name, value in training.learner.state().items()}
    assert any((whole[name] != value).any() for name, value in state.items())
    again = make(BY_BRIGHTNESS, augment=True)
    again.learner.restore(state)
    again.learner.freeze(stopped.clusterings[-1].codebook)
    fine_tune_network(again.learner, labelled, again.observer, 1)
    for name, value in again.learner.state().items():
        np.testing.assert_array_equal(value, whole[name], err_msg=name)


class Stopped(Recorder):
    """Is interrupted when the first epoch is complete."""

    def clustered(self, plan: Any, *more: Any) -> None:
        super().clustered(plan, *more)
        if plan.epoch == 1:
            raise KeyboardInterrupt


def test_rare_classes_weigh_more_and_the_mean_weight_is_one() -> None:
    shares = np.array([0.9, 0.1])
    weights = class_weights(shares)
    assert (weights * shares).sum() == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(3)  # the root of how much rarer it is


def test_the_rate_falls_from_one_epoch_to_the_next() -> None:
    rates = [rate_of(epoch, 4) for epoch in (1, 2, 3, 4)]
    assert rates[0] == 1 and rates == sorted(rates, reverse=True) and rates[-1] > 0.1
