"""What the method promises of an epoch: whose labels, from which centroids, in which order.

A network in miniature stands in for the real one, which test_learner.py asks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from memory_training import SETTINGS, USABLE, Training, make_training, nearest

from clusternet.clustering.kmeans import Clustering, cluster
from clusternet.clustering.sampling import Sample
from clusternet.training.learner import IGNORE
from clusternet.training.pseudo_labels import cluster_features

GROUPS = replace(SETTINGS, cluster_scope="batch", clust_batch_size=4, samples_per_centroid=0)


@pytest.fixture
def training() -> Training:
    """A training whose first codebook is found."""
    training = make_training()
    training.start()
    return training


class Watched:
    """What an epoch trains on, and what its K-Means starts from."""

    def __init__(self, training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pixels: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []
        self.steps_since_reset: list[int] = []
        self.initial_labels: np.ndarray | None
        fit = training.learner.fit

        def watch_fit(pixels: np.ndarray, labels: np.ndarray) -> float:
            self.pixels += [*pixels.copy()]
            self.labels += [*labels.copy()]
            self.steps_since_reset.append(training.learner.steps_since_reset)
            return fit(pixels, labels)

        def watch_cluster(
            sample: Sample, settings: object, initial_labels: np.ndarray | None = None
        ) -> Clustering:
            self.initial_labels = initial_labels
            return cluster_features(sample, settings, initial_labels=initial_labels)

        monkeypatch.setattr(training.learner, "fit", watch_fit)
        monkeypatch.setattr("clusternet.training.loop.cluster_features", watch_cluster)


# --- pseudo-labels and clusters


def test_every_epoch_trains_on_the_nearest_centroids_of_its_start(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches = training.data.loader.patches
    older = None
    for epoch in (1, 2, 3):
        expected = nearest(training.features(), training.learner.codebook)
        training.observer.fitted_patches.clear()
        with monkeypatch.context() as patch:
            watched = Watched(training, patch)
            training.epoch(epoch)
        order = training.observer.fitted_patches
        assert len(order) == 4 and len(watched.labels) == 4
        for at, pixels, labels in zip(order, watched.pixels, watched.labels, strict=True):
            np.testing.assert_array_equal(pixels, patches.pixels[at])
            want = np.where(patches.valid[at], expected[at], IGNORE)
            np.testing.assert_array_equal(labels, want, err_msg=f"epoch {epoch} patch {at}")
        assert older is None or (older != expected).mean() > 0.01
        older = expected


def test_clusters_start_from_the_labels_that_their_pixels_had(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.epoch(1)
    plan, patches = training.data.plan(2).sample, training.data.loader.patches
    before = nearest(training.features(), training.learner.codebook)
    watched = Watched(training, monkeypatch)
    training.epoch(2)
    positions = [plan.positions(patch, patches.valid[patch]) for patch in plan.quotas]
    labels = [before[patch].ravel()[at] for patch, at in zip(plan.quotas, positions, strict=True)]
    np.testing.assert_array_equal(watched.initial_labels, np.concatenate(labels))
    np.testing.assert_array_equal(training.observer.labels_before[-1], np.concatenate(labels))
    new = training.features().reshape(len(before), -1, SETTINGS.num_features)
    features = [new[patch][at] for patch, at in zip(plan.quotas, positions, strict=True)]
    sample, clustering = training.observer.samples[-1], training.observer.clusterings[-1]
    np.testing.assert_allclose(sample.features, np.concatenate(features), atol=1e-5)
    assert training.learner.codebook is clustering.codebook
    again = cluster(
        np.concatenate(features), 5, iterations=4, initial_labels=np.concatenate(labels)
    )
    np.testing.assert_allclose(clustering.codebook.centroids, again.codebook.centroids, atol=1e-4)


def test_the_first_clusters_and_those_of_groups_start_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training = make_training(settings=replace(GROUPS, clust_batch_size=2))
    watched = Watched(training, monkeypatch)
    training.start()
    assert watched.initial_labels is None and training.observer.labels_before == [None]
    assert training.observer.clustered_epochs == [0]  # before the first epoch
    training.epoch(1)
    assert watched.initial_labels is None and training.observer.history[0].nmi > 0


def test_a_training_that_has_a_codebook_goes_on_with_it(training: Training) -> None:
    codebook = training.learner.codebook
    training.start()  # and no epoch after it
    assert training.learner.codebook is codebook and len(training.observer.clusterings) == 1


# --- views


def test_views_differ_between_epochs_and_repeat_with_the_seed(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    def views(epoch: int, seed: int) -> np.ndarray:
        training.change(augment=True, seed=seed)
        plan = training.data.plan(epoch)
        (batch,) = training.data.batches(np.array([0, 1]))
        return plan.view(batch.pixels, training.learner.label(batch))[0]

    first = views(1, 1)
    np.testing.assert_array_equal(first, views(1, 1))
    assert np.abs(first - views(2, 1)).max() > 0.1
    assert np.abs(first - views(1, 2)).max() > 0.1
    assert np.abs(first - training.data.loader.patches.pixels[:2]).max() > 0.1


def test_every_step_of_an_epoch_takes_another_view(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.change(augment=True)
    patches = training.data.loader.patches
    patches.pixels[:] = patches.pixels[:1]  # all alike
    watched = Watched(training, monkeypatch)
    training.epoch(1)
    for number, pixels in enumerate(watched.pixels):
        for other in watched.pixels[:number]:
            assert np.abs(pixels - other).max() > 0.1


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_step_takes_the_view_and_its_labels(
    training: Training, monkeypatch: pytest.MonkeyPatch, padding: str
) -> None:
    def view(pixels: Any, labels: Any, rng: Any, *, turn: bool) -> tuple[Any, Any]:
        assert turn == (padding == "same")  # a centre that is not symmetric may not turn
        return pixels[:, ::-1], labels[:, ::-1]

    monkeypatch.setattr("clusternet.training.epoch_plan.augment", view)
    training.change(augment=True, padding=padding)
    expected = nearest(training.features(), training.learner.codebook)
    watched = Watched(training, monkeypatch)
    plan = training.data.plan(1).sample
    training.epoch(1)
    patches, order = training.data.loader.patches, training.observer.fitted_patches
    for at, pixels, labels in zip(order, watched.pixels, watched.labels, strict=True):
        np.testing.assert_array_equal(pixels[::-1], patches.pixels[at])
        valid = patches.valid[at]
        np.testing.assert_array_equal(labels[::-1][valid], expected[at][valid])
    # the sample's labels are those of the pixels, not of the view
    at = [plan.positions(patch, patches.valid[patch]) for patch in plan.quotas]
    wanted = [expected[patch].ravel()[one] for patch, one in zip(plan.quotas, at, strict=True)]
    np.testing.assert_array_equal(training.observer.labels_before[-1], np.concatenate(wanted))


# --- the published scheme


class Groups:
    """A training group by group, and what is clustered in each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
        self.training = make_training(settings=replace(GROUPS, epoch_megapixels=0))
        self.training.start()
        self.training.change(**changes)
        self.found: list[tuple[Sample, Clustering]] = []
        monkeypatch.setattr("clusternet.training.pseudo_labels.cluster_features", self._watch)
        self.watched = Watched(self.training, monkeypatch)

    def _watch(self, sample: Sample, *args: object, **options: object) -> Clustering:
        assert len(sample.differences) == 0
        kept = replace(sample, features=sample.features.copy())  # which may be overwritten
        self.found.append((kept, cluster_features(sample, *args, **options)))
        return self.found[-1][1]

    def run(self, epoch: int = 1) -> None:
        """Run an epoch in which the network does not move: all groups have the same features."""
        fit = self.training.learner.fit
        kept = self.training.learner.weights

        def fit_nothing(pixels: np.ndarray, labels: np.ndarray) -> float:
            loss = fit(pixels, labels)
            self.training.learner.weights = kept
            return loss

        self.training.learner.fit = fit_nothing
        self.training.epoch(epoch)
        self.training.learner.fit = fit


@pytest.mark.parametrize("per_centroid", [0, 1, 60, 10_000])
def test_a_group_has_the_nearest_of_its_own_centroids(
    monkeypatch: pytest.MonkeyPatch, per_centroid: int
) -> None:
    groups = Groups(monkeypatch, samples_per_centroid=per_centroid)
    features, valid = groups.training.features(), groups.training.data.loader.patches.valid
    groups.run()
    order, labels = groups.training.observer.fitted_patches, groups.watched.labels
    assert sorted(order) == USABLE and len(groups.found) == 3
    assert len(labels) == 10 and (labels[9] == IGNORE).all()  # what fills up the batch
    for number, patch in enumerate(order):
        codebook = groups.found[number // 4][1].codebook
        want = np.where(valid[patch], nearest(features[patch], codebook), IGNORE)
        assert labels[number].shape == (32, 32) and labels[number].dtype == np.int32
        assert (labels[number] != want).mean() < 0.002  # equally near
    for group, (sample, _) in enumerate(groups.found):
        patches = order[4 * group : 4 * group + 4]
        pixels = np.concatenate([features[patch][valid[patch]] for patch in patches])
        if 0 < per_centroid < 100:  # some of the group's pixels, none twice
            assert len(sample.features) == 5 * per_centroid
            distance = np.abs(sample.features[:, None] - pixels[None]).max(axis=-1)
            assert distance.min(axis=1).max() < 1e-5
            assert len(set(distance.argmin(axis=1).tolist())) == 5 * per_centroid
        else:
            np.testing.assert_allclose(sample.features, pixels, atol=1e-5)


def test_groups_that_are_sampled_differ_in_what_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = Groups(monkeypatch, samples_per_centroid=60)
    patches = groups.training.data.loader.patches
    patches.pixels[:], patches.valid[:] = patches.pixels[:1], True  # all alike

    def sampled(seed: int, epoch: int) -> list[np.ndarray]:
        groups.training.change(seed=seed)
        groups.found.clear()
        groups.run(epoch)
        return [sample.features for sample, _ in groups.found]

    one, other, _ = sampled(1, 1)
    again, seeded, later = sampled(1, 1), sampled(2, 1), sampled(1, 2)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(one, again[0])
    assert not np.array_equal(one, seeded[0]) and not np.array_equal(one, later[0])


def test_a_group_as_large_as_the_sample_is_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = Groups(monkeypatch, samples_per_centroid=1024, num_clusters=4)
    groups.training.data.loader.patches.valid[:] = True
    features = groups.training.features()
    groups.run()
    patches = groups.training.observer.fitted_patches[:4]
    sample, _ = groups.found[0]
    np.testing.assert_allclose(sample.features, features[patches].reshape(-1, 6), atol=1e-5)


def test_every_group_starts_with_a_fresh_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = Groups(monkeypatch)
    groups.training.epoch(1)
    assert len(groups.found) == 3
    assert groups.watched.steps_since_reset == [0, 1, 0, 1, 0]


def test_clusters_are_found_in_the_space_and_with_the_seed_of_the_settings() -> None:
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(400, 6)) * [1, 1, 9, 1, 1, 1] + 3).astype(np.float32)
    sample = Sample(features, features[1:] - features[:-1])

    def found(**changes: Any) -> Clustering:
        return cluster_features(sample, replace(SETTINGS, **changes))

    np.testing.assert_array_equal(found().codebook.centroids, found().codebook.centroids)
    other = found(seed=2).codebook.centroids
    assert np.abs(found().codebook.centroids - other).max() > 0.1
    assert found(num_clusters=7).codebook.num_clusters == 7
    assert found(kmeans_iterations=9).objective < found(kmeans_iterations=1).objective
    deviations = found(feature_transform="standardise").codebook.transform(features).std(axis=0)
    np.testing.assert_allclose(deviations, 1, rtol=1e-3)
    codebook = found(num_features=2, fixed_filters=True).codebook
    scaled = codebook.transform(features)
    assert scaled[:, :2].var(axis=0).sum() == pytest.approx(0.6**2, rel=1e-3)
    assert scaled[:, 2:].var(axis=0).sum() == pytest.approx(1, rel=1e-3)
    neighbours = found(feature_transform="neighbours").codebook
    assert neighbours.has_projection and not found().codebook.has_projection
