"""What a run leaves in its folder, after every epoch and after any kind of stop."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_training import SETTINGS, LinearLearner, Training, make_training, random_patches
from PIL import Image

from clusternet.clustering.sampling import Sample
from clusternet.errors import OutputError, RunError
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.loop import embed
from clusternet.training.run import load_run
from clusternet.training.run_writer import PatchMaps, RunWriter


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

    # not by its dotted name, which stands for a module that is loaded later
    monkeypatch.setattr(importlib.import_module("tensorboard.summary"), "Writer", Writer)
    return told


def in_folder(output: Path, *, overwrite: bool = False, **changes: Any) -> Training:
    settings = replace(SETTINGS, **changes)
    return make_training(settings=settings, output=output, overwrite=overwrite)


def test_a_run_starts_with_a_folder_that_predicts(tmp_path: Path) -> None:
    training = in_folder(tmp_path / "run")
    training.start()
    run, writer = load_run(tmp_path / "run"), training.observer
    assert run.settings == SETTINGS and run.bands.patch_shape == (32, 32)
    np.testing.assert_array_equal(run.stored.codebook.centroids, writer.stored.codebook.centroids)
    assert writer.is_saved and writer.epochs_done == 0
    assert [path.name for path in (tmp_path / "run/previews").iterdir()] == ["epoch_000.png"]
    with pytest.raises(OutputError, match="exists already"):
        in_folder(tmp_path / "run").start()
    again = in_folder(tmp_path / "run", seed=2, overwrite=True)
    again.start()
    assert load_run(tmp_path / "run").settings.seed == 1  # until the next one has learned something
    again.epoch(1)
    assert load_run(tmp_path / "run").settings.seed == 2


def test_the_codebook_is_kept_with_its_sizes_and_the_range_of_features(tmp_path: Path) -> None:
    training = in_folder(tmp_path / "run")
    seen: list[Any] = []
    clustered = training.observer.clustered

    def watch(plan: Any, sample: Sample, *more: Any) -> None:
        seen.append((sample, *more))
        clustered(plan, sample, *more)

    training.observer.clustered = watch
    training.complete()
    sample, clustering, _ = seen[-1]
    stored = load_run(tmp_path / "run").stored
    np.testing.assert_array_equal(stored.codebook.centroids, clustering.codebook.centroids)
    np.testing.assert_array_equal(stored.sizes, clustering.sizes)
    expected = np.quantile(sample.features, (0.005, 0.995), axis=0)
    np.testing.assert_allclose(stored.feature_range, expected, rtol=1e-5)
    assert stored.feature_range.dtype == np.float32


def test_a_run_goes_on_to_its_last_epoch_and_tells_of_each(
    tmp_path: Path, told: list[tuple[object, ...]]
) -> None:
    training = in_folder(tmp_path / "run")
    training.complete()
    writer = training.observer
    assert [record.epoch for record in writer.history] == [1, 2, 3]
    names = [f"epoch_{epoch:03d}.png" for epoch in range(4)]
    assert sorted(path.name for path in (tmp_path / "run/previews").iterdir()) == names
    figures = ("loss", "objective", "nmi", "smallest", "largest", "empty")
    expected: list[tuple[object, ...]] = [("folder", str(tmp_path / "run/tensorboard"))]
    for record in writer.history:
        expected += [(name, getattr(record, name), record.epoch) for name in figures]
        expected.append(("flush",))
    assert told == [*expected, ("close",)]
    checkpoint = Checkpoint.load(tmp_path / "run")
    assert checkpoint.epoch == 3 and list(checkpoint.history) == writer.history
    np.testing.assert_array_equal(checkpoint.arrays["weight_0000"], training.learner.weights)
    np.testing.assert_array_equal(
        checkpoint.stored.codebook.centroids, writer.stored.codebook.centroids
    )
    assert (tmp_path / "run/history.csv").read_text().count("\n") == 4
    assert load_run(tmp_path / "run")


@pytest.mark.parametrize("scope", ["epoch", "batch"])
def test_a_resumed_run_ends_like_one_that_did_not_stop(
    tmp_path: Path, told: list[tuple[object, ...]], scope: str
) -> None:
    whole = in_folder(tmp_path / "whole", cluster_scope=scope)
    whole.complete()
    in_folder(tmp_path / "run", num_epochs=1, cluster_scope=scope).complete()
    for name in ("settings.yaml", "bands.json", "model.keras", "previews/epoch_001.png"):
        (tmp_path / "run" / name).unlink()  # a kill may have come before they were written
    told.clear()
    resumed = in_folder(tmp_path / "run", cluster_scope=scope)
    resumed.complete(Checkpoint.load(tmp_path / "run"))
    assert resumed.observer.is_saved and resumed.observer.epochs_done == 3
    np.testing.assert_array_equal(resumed.learner.weights, whole.learner.weights)
    writers = resumed.observer, whole.observer
    np.testing.assert_array_equal(*(one.stored.codebook.centroids for one in writers))
    histories = [[(row.nmi, row.loss) for row in one.history] for one in writers]
    assert histories[0] == histories[1]
    steps = [entry[2] for entry in told if entry[0] == "loss"]
    assert steps == [1, 2, 3]  # the first again: it may have been cut off
    assert load_run(tmp_path / "run").settings == whole.data.settings
    assert (tmp_path / "run/previews/epoch_001.png").is_file()


def test_a_restored_training_labels_as_the_one_that_was_saved(tmp_path: Path) -> None:
    training = in_folder(tmp_path / "run")
    training.start()
    training.epoch(1)
    again = in_folder(tmp_path / "run")
    again.observer.restore(Checkpoint.load(tmp_path / "run"))
    writer = again.observer
    assert writer.is_saved and writer.epochs_done == 1
    assert writer.history == training.observer.history
    (batch,) = training.data.batches(np.array([1, 3]))
    np.testing.assert_array_equal(again.learner.label(batch), training.learner.label(batch))
    np.testing.assert_array_equal(writer.stored.sizes, training.observer.stored.sizes)
    saved = np.load(tmp_path / "run/model.keras")
    np.testing.assert_array_equal(saved, training.learner.weights)


@pytest.mark.parametrize("error", [KeyError("weight_0007"), ValueError("a\n  shape " + "x" * 200)])
def test_a_checkpoint_of_another_network_is_refused_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    in_folder(tmp_path / "run").start()

    def fail(self: LinearLearner, state: object) -> None:
        raise error

    monkeypatch.setattr(LinearLearner, "restore", fail)
    before = (tmp_path / "run/checkpoint/state.npz").read_bytes()
    other = in_folder(tmp_path / "run").observer
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
        patch.setattr(RunWriter, "_save", stop)
        with pytest.raises(KeyboardInterrupt, match=r"^asked$"):  # nothing is there yet
            in_folder(tmp_path / "run").complete()
    assert list(tmp_path.iterdir()) == []
    training = in_folder(tmp_path / "run")

    def stop_in_epoch_2(*args: Any) -> Sample:
        return embed(*args) if training.observer.epochs_done < 1 else stop()

    monkeypatch.setattr("clusternet.training.loop.embed", stop_in_epoch_2)
    with pytest.raises(KeyboardInterrupt, match="run holds epoch 1, and --resume goes on from"):
        training.complete()
    assert told[-1] == ("close",)


def test_maps_of_test_patches_are_written_after_every_epoch(tmp_path: Path) -> None:
    loader = replace(make_training().data.loader, patches=random_patches(3, seed=5))

    def with_maps(*, overwrite: bool) -> Training:
        maps = PatchMaps(loader, tmp_path / "maps", overwrite)
        return make_training(output=tmp_path / "run", overwrite=overwrite, patch_maps=maps)

    training = with_maps(overwrite=False)
    training.start()
    assert not (tmp_path / "maps").exists()  # before it has learned anything
    training.epoch(1)
    names = sorted(path.name for path in (tmp_path / "maps/epoch_001/scene").iterdir())
    assert names == ["00.png", "01.png", "02.png"]
    with Image.open(tmp_path / "maps/epoch_001/scene/01.png") as made:
        labels = np.asarray(made)
    (batch,) = loader.batches(np.array([1]))
    expected = training.learner.label(batch)[0]
    np.testing.assert_array_equal(labels, np.where(expected < 0, 255, expected))
    with pytest.raises(OutputError, match="epoch_001"):
        training.observer._show()
    again = with_maps(overwrite=True)
    again.start()
    again.epoch(1)
    assert len(list((tmp_path / "maps/epoch_001/scene").iterdir())) == 3
