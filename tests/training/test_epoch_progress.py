"""The record of an epoch, and what its progress bar shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from memory_training import Training, make_training
from sklearn.metrics import normalized_mutual_info_score

from clusternet.training.epoch_progress import EpochProgress


@pytest.fixture
def training() -> Training:
    """A training whose first codebook is found; it writes nothing."""
    training = make_training()
    training.start()
    return training


def test_the_report_tells_of_the_sample_before_and_after(training: Training) -> None:
    training.epoch(1)
    (record,), told = training.observer.history, training.observer
    clustering, sample, before = told.clusterings[-1], told.samples[-1], told.labels_before[-1]
    expected = normalized_mutual_info_score(before, clustering.assignment)
    assert record.nmi == pytest.approx(expected) and 0 < record.nmi < 1
    assert record.loss == np.mean(told.losses) and len(set(told.losses)) == 2
    codebook = clustering.codebook
    distances = sample.features - codebook.offset - codebook.centroids[clustering.assignment]
    assert record.objective == pytest.approx((distances**2).sum(axis=1).mean(), rel=1e-4)
    sizes = np.bincount(clustering.assignment, minlength=5)
    assert (record.smallest, record.largest) == (sizes.min(), sizes.max())
    assert (record.epoch, record.steps, record.empty) == (1, 2, 0)


def test_the_smallest_cluster_is_one_that_is_not_empty(training: Training) -> None:
    training.epoch(1)
    told = training.observer
    sizes = np.array([0, 90, 1, 0, 109], np.int32)
    clustering = replace(told.clusterings[-1], sizes=sizes)
    record = told._progress.record(told.plans[-1], clustering, told.labels_before[-1])
    assert (record.smallest, record.largest, record.empty) == (1, 109, 2)


def test_speed_is_that_of_the_pass_and_time_that_of_the_epoch(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 101.0, 102.0, 107.0])  # at the start, after each step, at the end
    monkeypatch.setattr("clusternet.training.epoch_progress.time.monotonic", lambda: next(clock))
    training.epoch(1)
    (record,) = training.observer.history
    assert (record.patches_per_second, record.seconds) == (4 / 2, 7)


class Bar:
    """Stands for a progress bar."""

    made: list[Bar]

    def __init__(self, total: int, desc: str, **_: Any) -> None:
        self.total, self.name, self.done, self.is_closed = total, desc, 0, False
        self.losses: list[str] = []
        Bar.made.append(self)

    def set_postfix(self, notes: dict[str, str], *, refresh: bool) -> None:
        self.losses.append(notes["loss"])

    def update(self, count: int) -> None:
        assert all(bar.is_closed for bar in Bar.made[:-1])  # one at a time
        self.done += count

    def close(self) -> None:
        self.is_closed = True


def test_bars_count_patches_and_show_the_mean_loss_so_far(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    Bar.made = []
    monkeypatch.setattr("clusternet.training.epoch_progress.Progress", Bar)
    for epoch in (1, 2):
        training.epoch(epoch)
    trains, embeds = Bar.made[::2], Bar.made[1::2]
    assert [bar.name for bar in trains] == ["epoch 1", "epoch 2"]
    assert {bar.name for bar in embeds} == {"embed"} and len(embeds) == 2
    assert all(bar.done == bar.total > 0 for bar in Bar.made)
    losses = training.observer.losses
    for first, bar in zip((0, 2), trains, strict=True):
        means = losses[first], np.mean(losses[first : first + 2])
        assert bar.losses == [f"{mean:.3f}" for mean in means]


def test_the_bar_counts_pixels_and_tells_how_long_the_run_will_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []

    class Bar:
        format_interval = staticmethod("{:.0f} s".format)

        def __init__(self, **options: Any) -> None:
            self.options, self.done, self.notes = options, 0, {}
            made.append(self)

        def update(self, n: int) -> None:
            self.done += n

        def set_postfix(self, notes: dict[str, str], refresh: bool) -> None:
            self.notes = notes

        def close(self) -> None:
            pass

    monkeypatch.setattr("clusternet.training.epoch_progress.Progress", Bar)
    now = iter(range(0, 10_000, 10))
    monkeypatch.setattr("clusternet.training.epoch_progress.time.monotonic", lambda: next(now))
    training = make_training()
    training.observer._progress = EpochProgress(3, 32 * 32)
    training.start()
    training.epoch(1)
    first, second = (made[index] for index in (-2, -1))
    assert first.options["desc"] == "epoch 1/3" and second.options["desc"] == "embed"
    assert first.options["total"] == first.done == 4 * 32 * 32
    assert (first.options["unit"], first.options["unit_scale"]) == ("px", True)
    assert list(first.notes) == ["loss"]  # nothing is known yet of how long an epoch takes
    training.epoch(2)
    assert made[-2].notes["run"].endswith(" s left")
    seconds = float(made[-2].notes["run"].split()[0])
    one = training.observer.history[0].seconds
    assert 0 < seconds < 2 * one
