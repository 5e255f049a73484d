"""What the method promises of an epoch: whose labels, which patches, from which centroids.

A network in miniature stands in for the real one, which test_learner.py asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_training import (
    SETTINGS,
    USABLE,
    LinearLearner,
    make_training,
    nearest,
    random_patches,
    start,
)
from PIL import Image
from sklearn.metrics import normalized_mutual_info_score

from clusternet.clustering.kmeans import Clustering, cluster
from clusternet.clustering.sampling import Sample
from clusternet.errors import OutputError, RunError
from clusternet.patches.batches import Batch
from clusternet.settings import TrainingSettings
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.learner import IGNORE
from clusternet.training.loop import Training
from clusternet.training.pseudo_labels import cluster_features, group_labels
from clusternet.training.run import load_run

GROUPS = replace(SETTINGS, cluster_scope="batch", clust_batch_size=4, samples_per_centroid=0)


@pytest.fixture
def training() -> Training:
    """A training whose first codebook is found."""
    training = make_training()
    start(training)
    return training


def features_of(training: Training) -> np.ndarray:
    """Return the features of all pixels of all patches under the present weights."""
    return training.learner.features(training.loader.patches.pixels)


class Watched:
    """What an epoch labels, trains on and clusters."""

    def __init__(self, training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
        self.order: list[int] = []
        self.pixels: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []
        self.losses: list[float] = []
        self.sample: Sample
        self.start: np.ndarray | None
        self.found: Clustering
        train = training.learner.fit
        batches = training.loader.batches

        def watch_train(pixels: np.ndarray, labels: np.ndarray) -> float:
            self.pixels += [*pixels.copy()]
            self.labels += [*labels.copy()]
            self.losses.append(train(pixels, labels))
            return self.losses[-1]

        def watch_batches(order: np.ndarray) -> Iterator[Batch]:
            if not self.order:  # later ones are embedded
                self.order = order.tolist()
            return batches(order)

        def watch_cluster(sample: Sample, settings: object, start: object = None) -> Clustering:
            self.sample, self.start = sample, start
            self.found = cluster_features(sample, settings, start)
            return self.found

        monkeypatch.setattr(training.learner, "fit", watch_train)
        monkeypatch.setattr(type(training.loader), "batches", lambda _, order: watch_batches(order))
        monkeypatch.setattr("clusternet.training.loop.cluster_features", watch_cluster)


# --- pseudo-labels and clusters


def test_every_epoch_trains_on_the_nearest_centroids_of_its_start(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches = training.loader.patches
    older = None
    for epoch in (1, 2, 3):
        expected = nearest(features_of(training), training.stored.codebook)
        with monkeypatch.context() as patch:
            watched = Watched(training, patch)
            training.epoch(epoch)
        assert len(watched.order) == 4 and len(watched.labels) == 4
        for at, pixels, labels in zip(watched.order, watched.pixels, watched.labels, strict=True):
            np.testing.assert_array_equal(pixels, patches.pixels[at])
            want = np.where(patches.valid[at], expected[at], IGNORE)
            np.testing.assert_array_equal(labels, want, err_msg=f"epoch {epoch} patch {at}")
        assert older is None or (older != expected).mean() > 0.01
        older = expected


def test_clusters_start_from_the_labels_that_their_pixels_had(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.epoch(1)
    plan, patches = training._plan(2), training.loader.patches
    before = nearest(features_of(training), training.stored.codebook)
    watched = Watched(training, monkeypatch)
    training.epoch(2)
    positions = [plan.positions(patch, patches.valid[patch]) for patch in plan.quotas]
    labels = [before[patch].ravel()[at] for patch, at in zip(plan.quotas, positions, strict=True)]
    np.testing.assert_array_equal(watched.start, np.concatenate(labels))
    new = features_of(training).reshape(len(before), -1, SETTINGS.num_features)
    features = [new[patch][at] for patch, at in zip(plan.quotas, positions, strict=True)]
    np.testing.assert_allclose(watched.sample.features, np.concatenate(features), atol=1e-5)
    stored = training.stored
    assert stored.codebook is watched.found.codebook and stored.sizes is watched.found.sizes
    again = cluster(np.concatenate(features), 5, iterations=4, start=np.concatenate(labels))
    np.testing.assert_allclose(stored.codebook.centroids, again.codebook.centroids, atol=1e-4)
    expected = np.quantile(watched.sample.features, (0.005, 0.995), axis=0)
    np.testing.assert_allclose(stored.feature_range, expected, rtol=1e-5)
    assert stored.feature_range.dtype == np.float32


def test_the_first_clusters_and_those_of_groups_start_anew(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.settings = replace(GROUPS, clust_batch_size=2)
    watched = Watched(training, monkeypatch)
    record = training.epoch(1)
    assert watched.start is None and record.nmi > 0


def test_the_report_tells_of_the_sample_before_and_after(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(training, monkeypatch)
    record = training.epoch(1)
    found = watched.found
    expected = normalized_mutual_info_score(watched.start, found.assignment)
    assert record.nmi == pytest.approx(expected) and 0 < record.nmi < 1
    assert record.loss == pytest.approx(np.mean(watched.losses)) and len(set(watched.losses)) == 2
    codebook = found.codebook
    distances = watched.sample.features - codebook.offset - codebook.centroids[found.assignment]
    assert record.objective == pytest.approx((distances**2).sum(axis=1).mean(), rel=1e-4)
    sizes = np.bincount(found.assignment, minlength=5)
    assert (record.smallest, record.largest) == (sizes.min(), sizes.max())
    assert (record.epoch, record.steps, record.empty) == (1, 2, 0)
    assert training.history == [record] and training.epochs_done == 1


def test_the_smallest_cluster_is_one_that_is_not_empty(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(sample: Sample, settings: object, start: np.ndarray) -> Clustering:
        real = cluster_features(sample, settings, start)
        return replace(real, sizes=np.array([0, 90, 1, 0, 109], np.int32))

    monkeypatch.setattr("clusternet.training.loop.cluster_features", found)
    record = training.epoch(1)
    assert (record.smallest, record.largest, record.empty) == (1, 109, 2)


def test_speed_is_that_of_the_pass_and_time_that_of_the_epoch(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 102.0, 107.0])  # at the start, after the pass, at the end
    monkeypatch.setattr("clusternet.training.loop.time.monotonic", lambda: next(clock))
    record = training.epoch(1)
    assert (record.patches_per_second, record.seconds) == (4 / 2, 7)


# --- which patches


def choices(training: Training, epoch: int) -> list[int]:
    """Return the patches that an epoch trains on, in order."""
    return [i for batch, _ in training._labelled(epoch) for i in batch.indexes.tolist()]


@pytest.mark.parametrize("settings", [SETTINGS, GROUPS], ids=["epoch", "batch"])
def test_choices_differ_between_epochs_and_repeat_with_the_seed(settings: TrainingSettings) -> None:
    def epochs(seed: int) -> list[list[int]]:
        training = make_training()
        start(training)
        training.settings = replace(settings, seed=seed)
        return [choices(training, epoch) for epoch in range(12)]

    first, again, other = epochs(1), epochs(1), epochs(2)
    assert first == again and first != other
    assert {frozenset(patches) for patches in first} != {frozenset(patches) for patches in other}
    assert all(len(set(patches)) == len(patches) == 4 for patches in first)
    assert len({frozenset(patches) for patches in first}) > 6  # not the same in another order
    assert set().union(*first) == set(USABLE)  # nothing is left out for ever
    assert any(patches != sorted(patches) for patches in first)


def test_an_epoch_without_limit_takes_every_patch_once_in_another_order(
    training: Training,
) -> None:
    training.settings = replace(SETTINGS, epoch_megapixels=0)
    first, second = choices(training, 1), choices(training, 2)
    assert sorted(first) == sorted(second) == USABLE and first != second
    training.settings = replace(SETTINGS, epoch_megapixels=0, seed=2)
    assert choices(training, 1) != first


def test_an_epoch_fills_a_batch_at_least(training: Training) -> None:
    training.settings = replace(SETTINGS, epoch_megapixels=0.001)  # one patch
    assert len(choices(training, 1)) == 2
    training.loader = replace(training.loader, batch_size=50)  # but not with what is not there
    assert sorted(choices(training, 1)) == USABLE


def test_what_is_clustered_was_trained_on_and_changes_every_epoch(training: Training) -> None:
    plans = [training._plan(epoch) for epoch in (1, 2)]
    valid = training.loader.patches.valid
    for epoch, plan in enumerate(plans, 1):
        assert set(plan.quotas) <= set(choices(training, epoch))
        assert sum(plan.quotas.values()) == 5 * 40
        assert all(quota <= valid[patch].sum() for patch, quota in plan.quotas.items())
    everywhere = np.ones((32, 32), bool)
    both = [replace(plan, quotas={0: 9}).positions(0, everywhere).tolist() for plan in plans]
    assert both[0] != both[1]
    assert training._plan(1) == plans[0]
    training.settings = replace(SETTINGS, seed=2)
    assert training._plan(1).seed != plans[0].seed
    training.settings = replace(SETTINGS, sample_patches=2)
    assert len(training._plan(1).quotas) == 2
    training.settings = GROUPS  # 0, all pixels of a group: what is kept is sampled
    assert sum(training._plan(1).quotas.values()) == 5 * 256


def test_a_few_full_patches_are_sampled_to_the_last_pixel() -> None:
    patches = random_patches(4)
    patches.valid[:] = False
    patches.valid[[0, 1, 3], :2, :3] = True  # 6 each
    training = make_training(patches=patches)
    assert training._plan(1).quotas == {0: 6, 1: 6, 3: 6}


def test_views_differ_between_epochs_and_repeat_with_the_seed(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(training, monkeypatch)
    monkeypatch.setattr(training, "_chosen", lambda epoch: np.arange(2))

    def views(epoch: int, seed: int) -> np.ndarray:
        watched.pixels.clear()
        training.settings = replace(SETTINGS, augment=True, seed=seed)
        training._retrain(epoch, training._plan(epoch))
        return np.stack(watched.pixels)

    first = views(1, 1)
    np.testing.assert_array_equal(first, views(1, 1))
    monkeypatch.setattr(training, "_labelled", lambda epoch: iter(batches))
    batches = [(batch, training.learner.label(batch)) for batch in training.loader.batches(
        np.array([0, 1]))]  # fmt: skip
    same_order = views(1, 1)
    assert np.abs(same_order - views(2, 1)).max() > 0.1
    assert np.abs(same_order - views(1, 2)).max() > 0.1
    assert np.abs(same_order - training.loader.patches.pixels[:2]).max() > 0.1


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_step_takes_the_view_and_its_labels(
    training: Training, monkeypatch: pytest.MonkeyPatch, padding: str
) -> None:
    def view(pixels: Any, labels: Any, rng: Any, *, turn: bool) -> tuple[Any, Any]:
        assert turn == (padding == "same")  # a centre that is not symmetric may not turn
        return pixels[:, ::-1], labels[:, ::-1]

    monkeypatch.setattr("clusternet.training.loop.augment", view)
    training.settings = replace(SETTINGS, augment=True, padding=padding)
    expected = nearest(features_of(training), training.stored.codebook)
    watched = Watched(training, monkeypatch)
    _, before = training._retrain(1, plan := training._plan(1))
    for at, pixels, labels in zip(watched.order, watched.pixels, watched.labels, strict=True):
        np.testing.assert_array_equal(pixels[::-1], training.loader.patches.pixels[at])
        valid = training.loader.patches.valid[at]
        np.testing.assert_array_equal(labels[::-1][valid], expected[at][valid])
    # the sample's labels are those of the pixels, not of the view
    at = [plan.positions(patch, training.loader.patches.valid[patch]) for patch in plan.quotas]
    wanted = [expected[patch].ravel()[one] for patch, one in zip(plan.quotas, at, strict=True)]
    np.testing.assert_array_equal(before, np.concatenate(wanted))


# --- the published order


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> tuple[Training, list[tuple[Sample, Clustering]]]:
    """A training group by group, and what is clustered in each."""
    training = make_training(settings=replace(GROUPS, epoch_megapixels=0))
    start(training)
    found: list[tuple[Sample, Clustering]] = []

    def watch(sample: Sample, *args: object, **options: object) -> Clustering:
        kept = replace(sample, features=sample.features.copy())  # which may be overwritten
        assert len(sample.differences) == 0  # nobody knows who is whose neighbour
        found.append((kept, cluster_features(sample, *args, **options)))
        return found[-1][1]

    monkeypatch.setattr("clusternet.training.pseudo_labels.cluster_features", watch)
    return training, found


@pytest.mark.parametrize("per_centroid", [0, 1, 60, 10_000])
def test_a_group_has_the_nearest_of_its_own_centroids(
    groups: tuple[Training, list[tuple[Sample, Clustering]]], per_centroid: int
) -> None:
    training, found = groups
    training.settings = replace(training.settings, samples_per_centroid=per_centroid)
    features, valid = features_of(training), training.loader.patches.valid
    order = []
    for batch, labels in training._labelled(1):
        assert labels.shape == (2, 32, 32) and labels.dtype == np.int32
        for place, patch in enumerate(batch.indexes.tolist()):
            order.append(patch)
            expected = nearest(features[patch], found[-1][1].codebook)
            want = np.where(valid[patch], expected, IGNORE)
            assert (labels[place] != want).mean() < 0.002  # equally near
        assert (labels[len(batch.indexes) :] == IGNORE).all()  # what fills up the batch
    assert sorted(order) == USABLE and len(found) == 3
    for group, (sample, _) in enumerate(found):
        patches = order[4 * group : 4 * group + 4]
        pixels = np.concatenate([features[patch][valid[patch]] for patch in patches])
        if 0 < per_centroid < 100:  # some of the group's pixels, none twice
            assert len(sample.features) == 5 * per_centroid
            distance = np.abs(sample.features[:, None] - pixels[None]).max(axis=-1)
            assert distance.min(axis=1).max() < 1e-5
            assert len(set(distance.argmin(axis=1).tolist())) == 5 * per_centroid
        else:
            np.testing.assert_allclose(sample.features, pixels, atol=1e-5)


def test_groups_that_are_sampled_differ_in_what_is_taken(
    groups: tuple[Training, list[tuple[Sample, Clustering]]],
) -> None:
    training, found = groups
    patches = training.loader.patches
    patches.pixels[:], patches.valid[:] = patches.pixels[:1], True  # all alike

    def sampled(seed: int, epoch: int) -> list[np.ndarray]:
        settings = replace(training.settings, samples_per_centroid=60, seed=seed)
        found.clear()
        order = np.arange(8)
        list(group_labels(training.loader, order, training.learner, settings, epoch))
        return [sample.features for sample, _ in found]

    (one, other), again, seeded, later = sampled(1, 1), sampled(1, 1), sampled(2, 1), sampled(1, 2)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(one, again[0])
    assert not np.array_equal(one, seeded[0]) and not np.array_equal(one, later[0])


def test_a_group_as_large_as_the_sample_is_taken_whole(
    groups: tuple[Training, list[tuple[Sample, Clustering]]],
) -> None:
    training, found = groups
    patches = training.loader.patches
    patches.valid[:] = True
    settings = replace(training.settings, samples_per_centroid=1024, num_clusters=4)
    list(group_labels(training.loader, np.arange(4), training.learner, settings, 1))
    np.testing.assert_allclose(
        found[0][0].features, features_of(training)[:4].reshape(-1, 6), atol=1e-5
    )


def test_every_group_starts_with_a_fresh_optimizer(
    groups: tuple[Training, list[tuple[Sample, Clustering]]],
) -> None:
    training, found = groups
    learner, seen = training.learner, []
    for batch, labels in training._labelled(1):
        seen.append((len(found), learner.steps_since_reset))
        learner.fit(batch.pixels, labels)
    assert seen == [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]


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


# --- the run folder


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What TensorBoard was told; the last entry says that it was closed."""
    told: list[tuple[object, ...]] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            told.append(("folder", folder))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told.append((name, value, step))

        def flush(self) -> None:
            told.append(("flush",))

        def close(self) -> None:
            told.append(("close",))

    monkeypatch.setattr("clusternet.training.loop.Writer", Writer)
    return told


def in_folder(output: Path, **changes: Any) -> Training:
    return make_training(settings=replace(SETTINGS, **changes), output=output)


def test_a_run_starts_with_a_folder_that_predicts(tmp_path: Path) -> None:
    training = in_folder(tmp_path / "run")
    training.start(overwrite=False)
    run = load_run(tmp_path / "run")
    assert run.settings == SETTINGS and run.bands.patch_shape == (32, 32)
    np.testing.assert_array_equal(run.stored.codebook.centroids, training.stored.codebook.centroids)
    assert training.is_saved and training.epochs_done == 0
    assert [path.name for path in (tmp_path / "run/previews").iterdir()] == ["epoch_000.png"]
    with pytest.raises(OutputError, match="exists already"):
        in_folder(tmp_path / "run").start(overwrite=False)
    again = in_folder(tmp_path / "run", seed=2)
    again.start(overwrite=True)
    assert load_run(tmp_path / "run").settings.seed == 1  # until the next one has learned something
    again.epoch(1)
    assert load_run(tmp_path / "run").settings.seed == 2


def test_a_run_goes_on_to_its_last_epoch_and_tells_of_each(
    tmp_path: Path, told: list[tuple[object, ...]]
) -> None:
    training = in_folder(tmp_path / "run")
    training.complete(None, overwrite=False)
    assert [record.epoch for record in training.history] == [1, 2, 3]
    names = [f"epoch_{epoch:03d}.png" for epoch in range(4)]
    assert sorted(path.name for path in (tmp_path / "run/previews").iterdir()) == names
    figures = ("loss", "objective", "nmi", "smallest", "largest", "empty")
    expected: list[tuple[object, ...]] = [("folder", str(tmp_path / "run/tensorboard"))]
    for record in training.history:
        expected += [(name, getattr(record, name), record.epoch) for name in figures]
        expected.append(("flush",))
    assert told == [*expected, ("close",)]
    checkpoint = Checkpoint.load(tmp_path / "run")
    assert checkpoint.epoch == 3 and list(checkpoint.history) == training.history
    np.testing.assert_array_equal(checkpoint.arrays["weight_0000"], training.learner.weights)
    np.testing.assert_array_equal(
        checkpoint.stored.codebook.centroids, training.stored.codebook.centroids
    )
    assert (tmp_path / "run/history.csv").read_text().count("\n") == 4
    assert load_run(tmp_path / "run")


def test_a_resumed_run_ends_like_one_that_did_not_stop(
    tmp_path: Path, told: list[tuple[object, ...]]
) -> None:
    whole = in_folder(tmp_path / "whole")
    whole.complete(None, overwrite=False)
    in_folder(tmp_path / "run", num_epochs=1).complete(None, overwrite=False)
    for name in ("settings.yaml", "bands.json", "model.keras", "previews/epoch_001.png"):
        (tmp_path / "run" / name).unlink()  # a kill may have come before they were written
    told.clear()
    resumed = in_folder(tmp_path / "run")
    resumed.complete(Checkpoint.load(tmp_path / "run"), overwrite=False)
    assert resumed.is_saved and resumed.epochs_done == 3
    np.testing.assert_array_equal(resumed.learner.weights, whole.learner.weights)
    centroids = [one.stored.codebook.centroids for one in (resumed, whole)]
    np.testing.assert_array_equal(*centroids)
    assert [record.nmi for record in resumed.history] == [record.nmi for record in whole.history]
    steps = [entry[2] for entry in told if entry[0] == "loss"]
    assert steps == [1, 2, 3]  # the first again: it may have been cut off
    assert load_run(tmp_path / "run").settings == SETTINGS
    assert (tmp_path / "run/previews/epoch_001.png").is_file()


def test_a_restored_training_labels_as_the_one_that_was_saved(tmp_path: Path) -> None:
    training = in_folder(tmp_path / "run")
    training.start(overwrite=False)
    training.epoch(1)
    again = in_folder(tmp_path / "run")
    again.restore(Checkpoint.load(tmp_path / "run"))
    assert again.is_saved and again.epochs_done == 1 and again.history == training.history
    (batch,) = training.loader.batches(np.array([1, 3]))
    np.testing.assert_array_equal(again.learner.label(batch), training.learner.label(batch))
    np.testing.assert_array_equal(again.stored.sizes, training.stored.sizes)
    saved = np.load(tmp_path / "run/model.keras")
    np.testing.assert_array_equal(saved, training.learner.weights)


@pytest.mark.parametrize("error", [KeyError("weight_0007"), ValueError("a\n  shape " + "x" * 200)])
def test_a_checkpoint_of_another_network_is_refused_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    training = in_folder(tmp_path / "run")
    training.start(overwrite=False)

    def fail(self: LinearLearner, state: object) -> None:
        raise error

    monkeypatch.setattr(LinearLearner, "restore", fail)
    before = (tmp_path / "run/checkpoint/state.npz").read_bytes()
    other = in_folder(tmp_path / "run")
    with pytest.raises(RunError, match=r"run: its checkpoint .*--overwrite") as refusal:
        other.restore(Checkpoint.load(tmp_path / "run"))
    message = str(refusal.value).replace(str(tmp_path), "")
    assert len(message) < 300 and "\n" not in message
    assert ("weight_0007" in message) or ("(a shape xxx" in message)
    assert (tmp_path / "run/checkpoint/state.npz").read_bytes() == before


def test_an_interrupt_says_what_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[tuple[object, ...]]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt("asked")

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_save", stop)
        with pytest.raises(KeyboardInterrupt, match=r"^asked$"):  # nothing is there yet
            in_folder(tmp_path / "run").complete(None, overwrite=False)
    assert list(tmp_path.iterdir()) == []
    training = in_folder(tmp_path / "run")
    embed = Training._embed

    def stop_in_epoch_2(self: Training, plan: Any) -> Sample:
        return embed(self, plan) if self.epochs_done < 1 else stop()

    monkeypatch.setattr(Training, "_embed", stop_in_epoch_2)
    with pytest.raises(KeyboardInterrupt, match="run holds epoch 1, and --resume goes on from"):
        training.complete(None, overwrite=False)
    assert told[-1] == ("close",)


def test_maps_of_test_patches_are_written_after_every_epoch(tmp_path: Path) -> None:
    training = in_folder(tmp_path / "run")
    training.test_loader = replace(training.loader, patches=random_patches(3, seed=5))
    training.test_maps = tmp_path / "maps"
    training.start(overwrite=False)
    assert not training.test_maps.exists()  # before it has learned anything
    training.epoch(1)
    names = sorted(path.name for path in (tmp_path / "maps/epoch_001/scene").iterdir())
    assert names == ["00.png", "01.png", "02.png"]
    with Image.open(tmp_path / "maps/epoch_001/scene/01.png") as made:
        labels = np.asarray(made)
    (batch,) = training.test_loader.batches(np.array([1]))
    expected = training.learner.label(batch)[0]
    np.testing.assert_array_equal(labels, np.where(expected < 0, 255, expected))
    with pytest.raises(OutputError, match="epoch_001"):
        training._show()
    training.replaces_maps = True
    training._show()
