"""Training on a Ray cluster: the run of one process, and the same run whoever dies."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import four_textures
from needing_ray import NEEDS_RAY
from PIL import Image

from clusternet.distributed.guard import MARK, processes_of
from clusternet.distributed.shared_paths import SharedPaths
from clusternet.errors import PatchError
from clusternet.settings import TrainingSettings
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.train import train

pytestmark = [*NEEDS_RAY, pytest.mark.slow]
SETTINGS = TrainingSettings(
    num_clusters=6, num_epochs=3, base_filters=2, num_features=8, samples_per_centroid=40,
    learn_rate=1e-3, precision="float32", train_batch_size=3, nodata=0, epoch_megapixels=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten patches, of which some have few pixels with data."""
    folder = tmp_path_factory.mktemp("data") / "patches"
    (folder / "scene").mkdir(parents=True)
    for number in range(10):
        pixels = four_textures(32, 48, 3, seed=number)
        pixels[: 3 * number] = 0
        Image.fromarray(pixels).save(folder / f"scene/{number}.png")
    return folder


@pytest.fixture(scope="module")
def run(patches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two workers that nothing has disturbed."""
    return train_in_two(patches, tmp_path_factory.mktemp("runs") / "run")


def train_in_two(patches: Path, output: Path, **options: bool) -> Path:
    from clusternet.distributed.cluster import ray_team

    with ray_team(None, 2, None, SharedPaths((patches,), (output,))) as team:
        return train(patches, output, SETTINGS, team=team, **options)


@contextmanager
def member_killed(rank: int, epoch: int) -> Iterator[list[int]]:
    """Kill a worker as soon as an epoch has ended; yield the processes that were killed."""
    killed: list[int] = []

    def kill() -> None:
        found = processes_of("/nowhere", os.environ[MARK])
        members = [
            process for process in sorted(found)
            if Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::Member")
        ]  # fmt: skip
        os.kill(members[rank], signal.SIGKILL)
        killed.append(members[rank])

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith(f"epoch {epoch}/") and not killed:
                threading.Thread(target=kill).start()

    handler, logger = Watch(), logging.getLogger("clusternet")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield killed
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def learned(run: Path) -> Checkpoint:
    return Checkpoint.load(run)


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    assert one.arrays.keys() == other.arrays.keys() and one.epoch == other.epoch
    for name in one.arrays:
        np.testing.assert_array_equal(one.arrays[name], other.arrays[name], err_msg=name)
    np.testing.assert_array_equal(one.stored.codebook.centroids, other.stored.codebook.centroids)


def test_two_workers_train_as_one_process(run: Path, patches: Path, tmp_path: Path) -> None:
    plain = train(patches, tmp_path / "plain", SETTINGS)

    assert {path.name for path in plain.iterdir()} == {path.name for path in run.iterdir()}
    assert (run / "bands.json").read_bytes() == (plain / "bands.json").read_bytes()
    two, one = learned(run), learned(plain)
    assert [row.steps for row in two.history] == [row.steps for row in one.history]
    # before clusters differ by rounding
    assert two.history[0].loss == pytest.approx(one.history[0].loss, rel=1e-5)
    assert two.history[-1].loss == pytest.approx(one.history[-1].loss, rel=1e-2)
    assert two.arrays["optimizer_0000"] == one.arrays["optimizer_0000"]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_is_killed_changes_nothing(
    run: Path, patches: Path, tmp_path: Path, rank: int, caplog: pytest.LogCaptureFixture
) -> None:
    with member_killed(rank, epoch=1) as killed:
        disturbed = train_in_two(patches, tmp_path / "run")

    assert killed and re.search(rf"worker {rank} on node [\d.]+ is lost", caplog.text)
    # a fast machine may have ended epoch 2 too before the worker dies
    assert re.search(r"resumed after epoch [12]\b", caplog.text)
    assert_same(learned(disturbed), learned(run))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_goes_on_with_another_number_of_workers(
    run: Path, patches: Path, tmp_path: Path
) -> None:
    half = train(patches, tmp_path / "run", replace(SETTINGS, num_epochs=2))
    train_in_two(patches, half, resume=True)

    assert learned(half).epoch == 3
    assert learned(half).history[-1].loss == pytest.approx(learned(run).history[-1].loss, rel=1e-2)


def test_a_damaged_patch_is_named_as_in_a_plain_run(patches: Path, tmp_path: Path) -> None:
    (tmp_path / "patches/scene").mkdir(parents=True)
    (tmp_path / "patches/scene/1.png").write_bytes(b"no picture")
    with pytest.raises(PatchError, match=r"1.png: cannot be read as an image"):
        train_in_two(tmp_path / "patches", tmp_path / "run")
    assert not (tmp_path / "run").exists()
