"""A group of processes runs the method of one: the same views, samples, clusters and losses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_training import SETTINGS, LinearLearner, Recorder, make_training
from thread_group import ThreadGroup, in_threads

from clusternet.processes.groups import ALONE
from clusternet.settings import TrainingSettings
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.following import Follower
from clusternet.training.loop import alternate
from clusternet.training.run_writer import RunWriter

WHOLE = replace(SETTINGS, augment=True, train_batch_size=3, epoch_megapixels=0, num_epochs=2)
"""Nine patches in three steps of three, each in a view of its own."""


class Member(LinearLearner):
    """A network in miniature whose steps are those of a group."""

    group: Any = ALONE

    def fit(self, pixels: np.ndarray, labels: np.ndarray) -> float:
        used = labels >= 0
        sums = [pixels[used].sum(axis=0), [labels[used].sum(), used.sum()]]
        *means, loss, count = self.group.sum(np.concatenate(sums, dtype=np.float32))
        self.moment = 0.5 * self.moment + np.outer(
            np.array(means) / count, np.cos(np.arange(self.moment.shape[1]))
        )
        self.weights = (self.weights + 0.5 * self.moment).astype(np.float32)
        return float(loss / count)


def run(group: Any) -> tuple[Recorder, np.ndarray]:
    training = make_training(Member, settings=WHOLE)
    training.learner.group = group
    rows = -(-3 // group.size)
    loader = replace(training.data.loader, batch_size=rows)
    data = replace(training.data, loader=loader, group=group)
    alternate(training.learner, data, training.observer, 0)
    return training.observer, training.learner.weights


def run_with(group: Any, settings: TrainingSettings, output: Path, resumes: bool) -> None:
    """Write a run, or go on with it, as a member."""
    training = make_training(Member, settings=settings)
    training.learner.group = group
    loader = replace(training.data.loader, batch_size=-(-3 // group.size))
    data = replace(training.data, loader=loader, group=group)
    kind = RunWriter if group.rank == 0 else Follower
    writer = kind(output, training.learner, data, epochs_done=0)
    with writer.writing():
        if resumes:
            writer.restore(group.once(Checkpoint.load, output))
        alternate(training.learner, data, writer, writer.epochs_done)
        writer.write_report()


@pytest.mark.parametrize("size", [2, 4])
def test_a_group_samples_clusters_and_trains_as_one_process(size: int) -> None:
    one, weights = run(ALONE)

    members = in_threads(size, run)

    for observer, own in members:
        np.testing.assert_allclose(own, weights, atol=1e-5)
        np.testing.assert_allclose(observer.losses, one.losses, rtol=1e-5)
        assert observer.clustered_epochs == one.clustered_epochs
        for found, expected in zip(observer.samples, one.samples, strict=True):
            np.testing.assert_allclose(found.features, expected.features, atol=1e-4)
        for found, expected in zip(observer.labels_before[1:], one.labels_before[1:], strict=True):
            assert (found != expected).mean() < 0.01  # equally near
        for found, expected in zip(observer.clusterings, one.clusterings, strict=True):
            np.testing.assert_allclose(
                found.codebook.centroids, expected.codebook.centroids, atol=1e-3
            )


def test_every_patch_is_trained_on_by_one_member() -> None:
    one, _ = run(ALONE)

    members = in_threads(2, run)

    steps = [sorted(observer.fitted_patches) for observer, _ in members]
    assert sorted(steps[0] + steps[1]) == sorted(one.fitted_patches)
    assert members[0][0].history[-1].steps == one.history[-1].steps


def test_there_is_one_kmeans(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    from clusternet.training import loop

    find = loop.cluster_features

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(1)
        return find(*args, **options)

    monkeypatch.setattr(loop, "cluster_features", counted)

    in_threads(3, run)

    assert len(calls) == 1 + WHOLE.num_epochs


def work(group: ThreadGroup) -> list[str]:
    return group.gather([f"{group.rank} first", f"{group.rank} second"])


def test_values_are_gathered_in_turn() -> None:
    assert in_threads(2, work) == [["0 first", "1 first", "0 second", "1 second"]] * 2
    assert ALONE.gather([1, 2]) == [1, 2] and ALONE.once(max, 1, 2) == 2
