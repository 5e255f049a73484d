"""What the method promises of an epoch: whose labels, which patches, from which centroids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from memory_training import (
    SETTINGS,
    Alternations,
    MakeAlternation,
    QuietTraining,
    make_training,
    nearest,
    places,
    random_patches,
    start,
)

from clusternet.alternation import IGNORE
from clusternet.batches import Batch
from clusternet.clustering import Clustering, cluster
from clusternet.pseudo_labels import cluster_features
from clusternet.sampling import Sample

GROUPS = replace(SETTINGS, cluster_scope="batch", clust_batch_size=4, samples_per_centroid=0)


@pytest.fixture
def training(alternations: Alternations) -> QuietTraining:
    """A training whose first codebook is found."""
    training = make_training(alternations)
    start(training)
    return training


def features_of(training: QuietTraining) -> np.ndarray:
    """Return the features of all pixels of all patches under the network's present weights."""
    patches = training.loader.patches
    everywhere = np.ones((2, *training.loader.labelled_shape), bool)
    found = []
    for first in range(0, len(patches), 2):
        pixels = patches.pixels[[first, min(first + 1, len(patches) - 1)]]
        batch = Batch(np.arange(2), pixels, everywhere)
        found.append(training.alternation.embed(batch).reshape(*everywhere.shape, -1))
    return np.concatenate(found)[: len(patches)]


class Watched:
    """What a training was given, step by step."""

    def __init__(self, training: QuietTraining, monkeypatch: pytest.MonkeyPatch) -> None:
        self.labels: dict[int, np.ndarray] = {}
        self.sample: Sample | None = None
        self.start: np.ndarray | None = None
        self.found: Clustering | None = None
        self._training = training
        alternation = training.alternation
        train, label = alternation.train, alternation.label

        def watch_label(batch: Batch) -> np.ndarray:
            self._indexes = batch.indexes
            return label(batch)

        def watch_train(pixels: np.ndarray, labels: np.ndarray) -> float:
            self.labels |= dict(zip(self._indexes.tolist(), labels.copy(), strict=False))
            return train(pixels, labels)

        def watch_cluster(sample: Sample, settings: object, start: object = None) -> Clustering:
            self.sample, self.start = sample, start
            self.found = cluster_features(sample, settings, start)
            return self.found

        monkeypatch.setattr(alternation, "label", watch_label)
        monkeypatch.setattr(alternation, "train", watch_train)
        monkeypatch.setattr("clusternet.epochs.cluster_features", watch_cluster)


# --- pseudo-labels: of the frozen copy, by the nearest centroid


def test_labels_stay_while_the_network_trains_and_change_when_it_is_frozen_anew(
    training: QuietTraining,
) -> None:
    alternation = training.alternation
    (batch,) = training.loader.batches(np.array([3, 5]))
    before, old = alternation.label(batch), alternation.embed(batch)
    for _ in range(3):
        alternation.train(batch.pixels, before)
    assert np.abs(alternation.embed(batch) - old).max() > 0.1  # the network has moved
    np.testing.assert_array_equal(alternation.label(batch), before)
    codebook = training.stored.codebook
    alternation.freeze(codebook)
    after = alternation.label(batch)
    by_hand = nearest(alternation.embed(batch), codebook)
    np.testing.assert_array_equal(after[batch.valid], by_hand)
    assert (after != before)[batch.valid].mean() > 0.01


def test_pixels_without_data_have_no_label(training: QuietTraining) -> None:
    (batch,) = training.loader.batches(np.array([8]))
    labels = training.alternation.label(batch)
    assert labels.shape == (2, 32, 32) and labels.dtype == np.int32
    assert (labels[~batch.valid] == IGNORE).all() and (labels[batch.valid] >= 0).all()
    assert not batch.valid.all(axis=(1, 2)).any()


def test_every_epoch_trains_on_the_nearest_centroids_of_its_start(
    training: QuietTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    valid = training.loader.patches.valid
    for epoch in (1, 2, 3):
        watched = Watched(training, monkeypatch)
        expected = nearest(features_of(training), training.stored.codebook)
        training.epoch(epoch)
        monkeypatch.undo()
        assert len(watched.labels) == 4
        for patch, labels in watched.labels.items():
            want = np.where(valid[patch], expected[patch], IGNORE)
            np.testing.assert_array_equal(labels, want, err_msg=f"epoch {epoch} patch {patch}")


def test_clusters_start_from_the_labels_that_their_pixels_had(
    training: QuietTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.epoch(1)
    plan = training._plan(2)
    before = nearest(features_of(training), training.stored.codebook)
    watched = Watched(training, monkeypatch)
    training.epoch(2)
    positions = {
        patch: plan.positions(patch, training.loader.patches.valid[patch]) for patch in plan.quotas
    }
    labels = [before[patch].ravel()[at] for patch, at in positions.items()]
    np.testing.assert_array_equal(watched.start, np.concatenate(labels))
    new = features_of(training).reshape(len(before), -1, SETTINGS.num_features)
    features = np.concatenate([new[patch][at] for patch, at in positions.items()])
    np.testing.assert_allclose(watched.sample.features, features, atol=1e-4)
    again = cluster(features, 5, iterations=4, start=np.concatenate(labels))
    np.testing.assert_allclose(places(training.stored.codebook), places(again.codebook), atol=1e-3)


def test_the_report_tells_of_the_sample_before_and_after(
    training: QuietTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.metrics import normalized_mutual_info_score

    watched = Watched(training, monkeypatch)
    record = training.epoch(1)
    found = watched.found
    expected = normalized_mutual_info_score(watched.start, found.assignment)
    assert record.nmi == pytest.approx(expected) and 0 < record.nmi < 1
    distances = watched.sample.features - places(found.codebook)[found.assignment]
    assert record.objective == pytest.approx((distances**2).sum(axis=1).mean(), rel=1e-4)
    sizes = np.bincount(found.assignment, minlength=5)
    used = sizes[sizes > 0]
    assert (record.smallest, record.largest) == (used.min(), used.max())
    assert record.empty == 5 - len(used)
    assert (record.epoch, record.steps) == (1, 2)
    assert training.history == [record] and training.epochs_done == 1


# --- which patches


def choices(training: QuietTraining, epoch: int) -> list[int]:
    """Return the patches that an epoch trains on, in order."""
    return [i for batch, _ in training._labelled(epoch) for i in batch.indexes.tolist()]


@pytest.mark.parametrize("settings", [SETTINGS, GROUPS], ids=["epoch", "batch"])
def test_choices_differ_between_epochs_and_repeat_with_the_seed(
    alternations: Alternations, settings: object
) -> None:
    def epochs(seed: int) -> list[list[int]]:
        training = make_training(alternations)
        start(training)
        training.settings = replace(settings, seed=seed)
        return [choices(training, epoch) for epoch in range(8)]

    first, again, other = epochs(1), epochs(1), epochs(2)
    assert first == again and first != other
    assert all(len(set(patches)) == len(patches) == 4 for patches in first)
    assert len({frozenset(patches) for patches in first}) > 4  # not the same in another order
    assert set().union(*first) == set(range(9))  # nothing is left out for ever
    assert any(patches != sorted(patches) for patches in first)


def test_an_epoch_without_limit_takes_every_patch_once_in_another_order(
    training: QuietTraining,
) -> None:
    training.settings = replace(SETTINGS, epoch_megapixels=0)
    first, second = choices(training, 1), choices(training, 2)
    assert sorted(first) == sorted(second) == list(range(9)) and first != second


def test_what_is_clustered_was_trained_on_and_changes_every_epoch(training: QuietTraining) -> None:
    plans = [training._plan(epoch) for epoch in (1, 2)]
    for epoch, plan in enumerate(plans, 1):
        assert set(plan.quotas) <= set(choices(training, epoch))
        assert sum(plan.quotas.values()) == 5 * 40
    valid = np.ones((32, 32), bool)
    one, other = (plan.positions(int(plan.patches[0]), valid).tolist() for plan in plans)
    assert one != other
    assert training._plan(1) == plans[0]
    training.settings = replace(SETTINGS, seed=2)
    assert training._plan(1) != plans[0]


def test_views_differ_between_epochs_and_repeat_with_the_seed(
    training: QuietTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []

    def watch(pixels: np.ndarray, labels: np.ndarray) -> float:
        seen.append(pixels)
        return 0.0

    monkeypatch.setattr(training.alternation, "train", watch)
    monkeypatch.setattr(training, "_chosen", lambda epoch: np.arange(2))

    def views(epoch: int, seed: int) -> np.ndarray:
        seen.clear()
        training.settings = replace(SETTINGS, augment=True, seed=seed)
        training._retrain(epoch, training._plan(epoch))
        (pixels,) = seen
        return pixels[pixels.mean(axis=(1, 2, 3)).argsort()]  # in whatever order patches came

    first = views(1, 1)
    np.testing.assert_array_equal(first, views(1, 1))
    assert not np.array_equal(first, views(2, 1)) and not np.array_equal(first, views(1, 2))


# --- the published order


@pytest.fixture
def groups(
    alternations: Alternations, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[QuietTraining, list[tuple[Sample, Clustering]]]]:
    """A training group by group, and what is clustered in each."""
    training = make_training(alternations, replace(GROUPS, epoch_megapixels=0))
    start(training)
    found: list[tuple[Sample, Clustering]] = []

    def watch(sample: Sample, *args: object, **options: object) -> Clustering:
        seen = replace(sample, features=sample.features.copy())  # it may be overwritten
        found.append((seen, cluster_features(sample, *args, **options)))
        return found[-1][1]

    monkeypatch.setattr("clusternet.pseudo_labels.cluster_features", watch)
    yield training, found


@pytest.mark.parametrize("per_centroid", [0, 60])
def test_a_group_has_the_nearest_of_its_own_centroids(
    groups: tuple[QuietTraining, list[tuple[Sample, Clustering]]], per_centroid: int
) -> None:
    training, found = groups
    training.settings = replace(training.settings, samples_per_centroid=per_centroid)
    features, valid = features_of(training), training.loader.patches.valid
    order = []
    for batch, labels in training._labelled(1):
        sample, clustering = found[-1]
        assert labels.shape == (2, 32, 32) and labels.dtype == np.int32
        for place, patch in enumerate(batch.indexes.tolist()):
            order.append(patch)
            expected = nearest(features[patch], clustering.codebook)
            want = np.where(valid[patch], expected, IGNORE)
            assert (labels[place] != want).mean() < 0.002  # equally near
        assert (labels[len(batch.indexes) :] == IGNORE).all()  # what fills up the batch
    assert sorted(order) == list(range(9)) and len(found) == 3
    for group, (sample, _) in enumerate(found):
        patches = order[4 * group : 4 * group + 4]
        pixels = np.concatenate([features[patch][valid[patch]] for patch in patches])
        if per_centroid:  # some of the group's pixels, none twice
            assert len(sample.features) == 5 * per_centroid
            distance = np.abs(sample.features[:, None] - pixels[None]).max(axis=-1)
            assert distance.min(axis=1).max() < 1e-4
        else:
            np.testing.assert_allclose(sample.features, pixels, atol=1e-4)


def test_groups_that_are_sampled_differ_in_what_is_taken(
    groups: tuple[QuietTraining, list[tuple[Sample, Clustering]]],
) -> None:
    training, found = groups

    def sampled(seed: int, epoch: int = 1) -> list[np.ndarray]:
        training.settings = replace(training.settings, samples_per_centroid=60, seed=seed)
        training.loader.patches.pixels[:] = training.loader.patches.pixels[:1]  # all alike
        training.loader.patches.valid[:] = True
        found.clear()
        order = np.arange(8)
        from clusternet.pseudo_labels import group_labels

        list(group_labels(training.loader, order, training.alternation, training.settings, epoch))
        return [sample.features for sample, _ in found]

    (one, other), again, seeded, later = sampled(1), sampled(1), sampled(2), sampled(1, epoch=2)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(one, again[0])
    assert not np.array_equal(one, seeded[0])
    assert not np.array_equal(one, later[0])


def test_every_group_starts_with_a_fresh_adam(
    groups: tuple[QuietTraining, list[tuple[Sample, Clustering]]],
) -> None:
    training, found = groups
    alternation = training.alternation
    rate = SETTINGS.learn_rate
    done, first_steps = 0, 0
    for batch, labels in training._labelled(1):
        before = alternation.network.get_weights()
        alternation.train(batch.pixels, labels)
        moved = [
            np.abs(new - old).max()
            for new, old in zip(alternation.network.get_weights(), before, strict=True)
        ]
        if len(found) > done:  # the first step of Adam is as long as the learning rate, everywhere
            done, first_steps = len(found), first_steps + 1
            np.testing.assert_allclose([x for x in moved if x], rate, rtol=2e-2)
        else:
            assert max(abs(x - rate) for x in moved if x) > rate / 50
    assert first_steps == 3


# --- seeds


def test_the_seed_of_the_settings_chooses_the_first_centroids() -> None:
    features = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    sample = Sample(features, features[:0])

    def centroids(seed: int) -> np.ndarray:
        return cluster_features(sample, replace(SETTINGS, seed=seed)).codebook.centroids

    np.testing.assert_array_equal(centroids(3), centroids(3))
    assert np.abs(centroids(3) - centroids(4)).max() > 0.1


def test_the_seed_of_the_settings_chooses_the_first_weights(alternations: Alternations) -> None:
    make: MakeAlternation = alternations
    first, other = (
        make(3, (32, 32), replace(SETTINGS, seed=seed), 2).network.get_weights() for seed in (1, 2)
    )
    assert not np.array_equal(first[0], other[0])


def test_training_takes_labels_only_from_what_it_can_see(training: QuietTraining) -> None:
    """A step from labels without any pixel changes nothing but Adam's count."""
    patches = random_patches()
    before = training.alternation.network.get_weights()
    loss = training.alternation.train(patches.pixels[:2], np.full((2, 32, 32), IGNORE, np.int32))
    assert loss == 0
    for old, new in zip(before, training.alternation.network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
