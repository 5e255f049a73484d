"""Training learns, reports, saves, and goes on after any kind of stop."""

from __future__ import annotations

import csv
import os
import pkgutil
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, WriteRaster, four_textures
from memory_training import Learners
from PIL import Image

import clusternet
from clusternet.clustering.sampling import Sample
from clusternet.errors import ClusterNetError, OutputError, PatchError, RunError, SettingsError
from clusternet.files.arrays import read_arrays, write_arrays
from clusternet.network.unet import masked_cross_entropy
from clusternet.prediction.predictor import load
from clusternet.settings import TilingSettings, TrainingSettings
from clusternet.tiling.tile import tile_rasters
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.learner import Learner
from clusternet.training.run import EpochRecord, load_run
from clusternet.training.run_writer import RunWriter
from clusternet.training.train import train, warn_of_few_steps

SMALL = TrainingSettings(
    num_clusters=8, num_epochs=2, base_filters=2, num_features=8, samples_per_centroid=40,
    learn_rate=1e-3, precision="float32",
)  # fmt: skip


def write_patches(folder: Path, count: int = 6, shape: tuple[int, int] = (32, 48)) -> Path:
    """Write RGB patches as users have them; the first has a nodata (0) corner."""
    (folder / "scene").mkdir(parents=True)
    for number in range(count):
        pixels = four_textures(*shape, 3, seed=number)
        if number == 0:
            pixels[:10, :10] = 0
        Image.fromarray(pixels).save(folder / "scene" / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("data") / "patches")


@pytest.fixture(scope="module", autouse=True)
def _shared_networks(learners: Learners) -> Iterator[None]:
    """Compile networks once for all tests; `fresh_networks` for those that ask of new ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clusternet.training.learner.Learner", learners)
        yield


@pytest.fixture
def fresh_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusternet.training.learner.Learner", Learner)


@pytest.fixture(scope="module")
def run(patches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(patches, tmp_path_factory.mktemp("runs") / "run", SMALL)


def arrays(run: Path) -> dict[str, np.ndarray]:
    """Return all that a run has learned."""
    return {
        name: value
        for name, value in read_arrays(run / "checkpoint" / "state.npz").items()
        if name != "history"  # holds times
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_same_result(first: Path, second: Path) -> None:
    one, other = arrays(first), arrays(second)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    one, other = (read_arrays(run / "codebook.npz") for run in (first, second))
    np.testing.assert_array_equal(one["centroids"], other["centroids"])


def test_the_run_folder_is_complete(run: Path) -> None:
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    events = {name for name in names if name.startswith("tensorboard/")}
    assert names - events == {
        "settings.yaml", "bands.json", "model.keras", "codebook.npz", "history.csv",
        "checkpoint/state.npz", "previews/epoch_000.png", "previews/epoch_001.png",
        "previews/epoch_002.png", "report.html",
    }  # fmt: skip
    assert events


def test_history_has_a_row_an_epoch(run: Path) -> None:
    with (run / "history.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        assert 0 <= float(row["nmi"]) <= 1 and float(row["objective"]) > 0
        assert int(row["smallest"]) <= int(row["largest"])


def test_the_loss_falls(patches: Path, tmp_path: Path) -> None:
    longer = replace(SMALL, num_epochs=8, learn_rate=3e-3)
    train(patches, tmp_path / "run", longer)
    losses = [row.loss for row in Checkpoint.load(tmp_path / "run").history]
    assert losses[-1] < losses[0] < np.log(8) + 1


def test_the_run_predicts_what_it_was_trained_on(run: Path, patches: Path) -> None:
    labels = load(run).predict(patches / "scene" / "01.png")
    assert len(np.unique(labels)) > 2


@pytest.mark.usefixtures("fresh_networks")
def test_two_runs_are_identical_and_nothing_is_traced_after_the_first_epoch(
    run: Path, patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces, after_epochs = [], []
    end_epoch = RunWriter._end_epoch

    def counted(labels: object, logits: object) -> object:
        traces.append(1)
        return masked_cross_entropy(labels, logits)

    def count_after(self: RunWriter, record: EpochRecord) -> None:
        end_epoch(self, record)
        after_epochs.append(len(traces))

    monkeypatch.setattr("clusternet.training.learner.masked_cross_entropy", counted)
    monkeypatch.setattr(RunWriter, "_end_epoch", count_after)
    assert_same_result(run, train(patches, tmp_path / "again", SMALL))
    first, second = after_epochs
    assert 0 < first == second


@pytest.mark.usefixtures("eagerly")
def test_another_seed_gives_another_codebook(run: Path, patches: Path, tmp_path: Path) -> None:
    other = train(patches, tmp_path / "other", replace(SMALL, seed=2, num_epochs=1))
    assert np.abs(arrays(run)["centroids"] - arrays(other)["centroids"]).max() > 0.01


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("scope", ["epoch", "batch"])
def test_the_valid_network_trains_in_both_orders(tmp_path: Path, scope: str) -> None:
    patches = write_patches(tmp_path / "patches", 3, (208, 224))
    settings = replace(
        SMALL, padding="valid", cluster_scope=scope, clust_batch_size=2, train_batch_size=2,
        samples_per_centroid=0 if scope == "batch" else 40, num_epochs=1,
        feature_transform="none" if scope == "batch" else "neighbours",
    )  # fmt: skip
    stored = load_run(train(patches, tmp_path / "run", settings)).stored
    assert stored.codebook.num_clusters == 8 and stored.sizes.sum() > 0


@pytest.mark.usefixtures("eagerly")
def test_patches_of_many_bands_and_signed_16_bit_train(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    for number in range(3):
        pixels = (four_textures(32, 32, 4, seed=number).astype(np.int16) - 100) * 30
        pixels[:5, :5] = -9999
        seven = np.concatenate([pixels, pixels[..., :3]], axis=2)
        write_raster(f"patches/scene/{number}.tif", seven, nodata=-9999)
    run = load_run(train(tmp_path / "patches", tmp_path / "run", replace(SMALL, num_epochs=1)))
    assert (run.bands.num_bands, run.bands.dtype) == (7, "int16")
    assert min(run.bands.mean) > -4000  # -9999 has not entered
    assert run.bands.patch_shape == (32, 32)


def test_statistics_are_those_of_the_valid_pixels(patches: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, num_epochs=1, nodata=0)
    bands = load_run(train(patches, tmp_path / "run", settings)).bands
    pixels = np.concatenate(
        [np.asarray(Image.open(path)).reshape(-1, 3) for path in patches.rglob("*.png")]
    )
    valid = pixels[(pixels != 0).any(axis=1)].astype(float)
    np.testing.assert_allclose(bands.mean, valid.mean(axis=0))
    np.testing.assert_allclose(bands.std, valid.std(axis=0))


@pytest.mark.usefixtures("eagerly")
def test_img_shape_resizes_patches(patches: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, num_epochs=1, img_shape=(16, 32))
    assert load_run(train(patches, tmp_path / "run", settings)).bands.patch_shape == (16, 32)


def test_maps_of_test_patches_are_written_each_epoch(patches: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, nodata=0)
    train(patches, tmp_path / "run", settings, test_img_folder=patches)
    for epoch in ("epoch_001", "epoch_002"):
        maps = tmp_path / "run" / "test_maps" / epoch / "scene"
        assert sorted(path.name for path in maps.iterdir()) == [f"{n:02d}.png" for n in range(6)]
    with Image.open(tmp_path / "run/test_maps/epoch_001/scene/00.png") as made:
        labels = np.asarray(made)
    assert (labels[:10, :10] == 255).all() and labels[10:].max() < 8


def test_weights_travel_from_run_to_run(run: Path, patches: Path, tmp_path: Path) -> None:
    weights = tmp_path / "final.weights.h5"
    once = replace(SMALL, num_epochs=1)
    first = train(
        patches, tmp_path / "a", once, pretrained_weights=run / "model.keras",
        out_weights_file=weights,
    )  # fmt: skip
    assert not np.array_equal(arrays(first)["state_weight_0000"], arrays(run)["state_weight_0000"])
    second = train(patches, tmp_path / "b", once, pretrained_weights=weights)
    assert weights.is_file() and load_run(second)


def test_current_epoch_counts_on(patches: Path, tmp_path: Path) -> None:
    train(patches, tmp_path / "run", SMALL, current_epoch=1)
    assert [row.epoch for row in Checkpoint.load(tmp_path / "run").history] == [2]


class Stop(Exception):
    """Stands for a machine that goes down."""


@pytest.mark.parametrize("step", ["run_writer.RunWriter._save", "loop.embed",
                                  "run_writer.RunWriter._show"])  # fmt: skip
def test_a_resumed_run_ends_like_an_uninterrupted_one(
    run: Path, patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    calls = {"start": 0}
    real = pkgutil.resolve_name(f"clusternet.training.{step}")

    def stop(*args: object) -> object:
        calls["start"] += 1
        if calls["start"] == 2:  # in the first epoch, after the run folder was made
            raise Stop
        return real(*args)

    output = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(f"clusternet.training.{step}", stop)
        train(patches, output, SMALL, test_img_folder=patches)
    train(patches, output, SMALL, resume=True, test_img_folder=patches)
    assert_same_result(run, output)
    assert list(tmp_path.rglob(".*")) == []
    # nor does any epoch lack what is made after it was saved
    assert names(output / "previews") == [f"epoch_{epoch:03d}.png" for epoch in range(3)]
    assert names(output / "test_maps") == ["epoch_001", "epoch_002"]


def test_resume_with_more_epochs_goes_on(run: Path, patches: Path, tmp_path: Path) -> None:
    output = train(patches, tmp_path / "run", replace(SMALL, num_epochs=1))
    train(patches, output, SMALL, resume=True)
    assert_same_result(run, output)


def test_a_run_with_nan_as_nodata_resumes(write_raster: WriteRaster, tmp_path: Path) -> None:
    for number in range(2):
        pixels = four_textures(32, 48, 3, seed=number).astype(np.float32)
        pixels[:5, :5] = np.nan
        write_raster(f"rasters/{number}.tif", pixels, nodata=np.nan)
    tile_rasters(tmp_path / "rasters", tmp_path / "patches", TilingSettings((32, 48)))
    settings = replace(SMALL, num_epochs=1, nodata=np.nan)
    output = train(tmp_path / "patches", tmp_path / "run", settings)
    train(tmp_path / "patches", output, replace(settings, num_epochs=2), resume=True)
    assert Checkpoint.load(output).epoch == 2


def test_resume_with_another_setting_is_refused(run: Path, patches: Path) -> None:
    expected = "num_clusters 8, cannot be resumed with 9; set num_clusters to 8, or start"
    with pytest.raises(SettingsError, match=expected):
        train(patches, run, replace(SMALL, num_clusters=9), resume=True)
    assert SMALL.train_batch_size is None
    with pytest.raises(SettingsError, match="with 3; leave --train_batch_size out"):
        train(patches, run, replace(SMALL, train_batch_size=3), resume=True)


@pytest.mark.parametrize("change", ["missing", "other shape"])
def test_resume_from_another_network_is_refused_and_leaves_the_run(
    run: Path, patches: Path, tmp_path: Path, change: str
) -> None:
    output = Path(shutil.copytree(run, tmp_path / "run"))
    path = output / "checkpoint" / "state.npz"
    state = read_arrays(path)
    if change == "missing":
        del state["state_optimizer_0005"]
    else:
        state["state_optimizer_0005"] = state["state_optimizer_0005"][..., :1]
    write_arrays(path, state)
    before = path.read_bytes()
    with pytest.raises(RunError, match=r"run: its checkpoint does not fit.*--overwrite"):
        train(patches, output, replace(SMALL, num_epochs=9), resume=True)
    assert path.read_bytes() == before


def test_resume_on_other_patches_is_refused(run: Path, tmp_path: Path) -> None:
    other = write_patches(tmp_path / "other", 4)
    with pytest.raises(RunError, match="not the patches"):
        train(other, run, SMALL, resume=True)


def start_training(patches: Path, output: Path, *flags: str) -> subprocess.Popen[str]:
    """Start main.py with the settings of SMALL, but many more epochs to be stopped in."""
    command = [sys.executable, "main.py", str(patches), "--output", str(output)]
    for name, value in SMALL.to_mapping().items():
        if value is not None and not isinstance(value, bool) and f"--{name}" not in flags:
            command += [f"--{name}", str(value)]
    return subprocess.Popen(
        [*command, *flags], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} did not appear in a minute")


def test_kill_and_resume_from_the_command_line(run: Path, patches: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    process = start_training(patches, output, "--num_epochs", "1000")
    wait_for(output / "previews" / "epoch_001.png")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    reached = Checkpoint.load(output).epoch
    assert reached >= 1
    target = str(reached + 2)
    process = start_training(patches, output, "--num_epochs", target, "--resume")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    whole = train(patches, tmp_path / "whole", replace(SMALL, num_epochs=reached + 2))
    assert_same_result(whole, output)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_cleanly(patches: Path, tmp_path: Path, number: int) -> None:
    output = tmp_path / "run"
    process = start_training(patches, output, "--num_epochs", "1000")
    wait_for(output / "previews" / "epoch_001.png")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    *lines, last = errors.splitlines()
    assert re.fullmatch(r"interrupted; .*/run holds epoch \d+, and --resume goes on .*", last)
    assert all(line.startswith("INFO: ") for line in lines)
    assert load_run(output) and list(tmp_path.rglob(".*")) == []


# --- wrong input: one clear line, nothing left behind


def refused(
    patches: Path, tmp_path: Path, settings: TrainingSettings = SMALL, **more: object
) -> str:
    """Return the message of a refusal; nothing may be left behind."""
    before = set((tmp_path / "out").rglob("*"))
    with pytest.raises(ClusterNetError) as error:
        train(patches, tmp_path / "out" / "run", settings, **more)
    assert set((tmp_path / "out").rglob("*")) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "none: expected a folder of patches" in refused(tmp_path / "none", tmp_path)


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no image" in refused(tmp_path / "empty", tmp_path)


def test_images_directly_in_the_folder(tmp_path: Path) -> None:
    flat = write_patches(tmp_path / "patches") / "scene"
    assert "one folder level deeper" in refused(flat, tmp_path)


def test_no_readable_image(tmp_path: Path) -> None:
    patches = write_patches(tmp_path / "patches", 1)
    (patches / "scene" / "00.png").write_bytes(b"not an image")
    message = refused(patches, tmp_path, replace(SMALL, skip_bad_files=True))
    assert "none of its 1 images can be read" in message


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_truncated_file_is_named_or_skipped(
    write_raster: WriteRaster, tmp_path: Path, suffix: str
) -> None:
    patches = tmp_path / "patches"
    for number in range(4):
        write_raster(f"patches/scene/{number}{suffix}", four_textures(32, 48, 3, seed=number))
    broken = patches / "scene" / f"2{suffix}"
    broken.write_bytes(broken.read_bytes()[:-1500])
    assert f"2{suffix}" in refused(patches, tmp_path)
    settings = replace(SMALL, skip_bad_files=True, num_epochs=1)
    assert load_run(train(patches, tmp_path / "run", settings))


def test_patches_of_different_shape(tmp_path: Path) -> None:
    patches = write_patches(tmp_path / "patches", 2)
    Image.fromarray(four_textures(16, 16, 3)).save(patches / "scene" / "odd.png")
    message = refused(patches, tmp_path)
    assert "odd.png: expected 32 x 48" in message and "--img_shape" in message


def test_patches_of_different_bands(tmp_path: Path) -> None:
    patches = write_patches(tmp_path / "patches", 2)
    Image.fromarray(four_textures(32, 48, 1)[..., 0]).save(patches / "scene" / "grey.png")
    assert "grey.png: expected 32 x 48 pixels, 3 band(s)" in refused(patches, tmp_path)


def test_patches_of_different_types(write_raster: WriteRaster, tmp_path: Path) -> None:
    for name, dtype in (("a", "uint8"), ("b", "uint16")):
        write_raster(f"patches/scene/{name}.tif", four_textures(32, 32, 3).astype(dtype))
    assert "b.tif: expected" in refused(tmp_path / "patches", tmp_path)


def test_nan_and_infinite_pixels_are_no_data(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = four_textures(32, 48, 3).astype(np.float32)
    pixels[3, 4, 1], pixels[7, 8, 0] = np.nan, np.inf
    write_raster("patches/scene/a.tif", pixels)
    run = train(tmp_path / "patches", tmp_path / "run", replace(SMALL, num_epochs=1))
    usable = np.isfinite(pixels).all(axis=2)
    np.testing.assert_allclose(load_run(run).bands.mean, pixels[usable].mean(axis=0), rtol=1e-5)


def test_everything_nodata(tmp_path: Path) -> None:
    (tmp_path / "patches" / "scene").mkdir(parents=True)
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "patches/scene/a.png")
    assert "nodata" in refused(tmp_path / "patches", tmp_path, replace(SMALL, nodata=0))


def test_a_constant_image(tmp_path: Path) -> None:
    (tmp_path / "patches" / "scene").mkdir(parents=True)
    Image.fromarray(np.full((32, 32, 3), 7, np.uint8)).save(tmp_path / "patches/scene/a.png")
    assert "nothing to segment" in refused(tmp_path / "patches", tmp_path)


def test_fewer_pixels_than_clusters(tmp_path: Path) -> None:
    (tmp_path / "patches" / "scene").mkdir(parents=True)
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[0, :7] = four_textures(1, 7, 3)
    Image.fromarray(pixels).save(tmp_path / "patches/scene/a.png")
    message = refused(tmp_path / "patches", tmp_path, replace(SMALL, nodata=0))
    assert "clusters (8), found 7" in message


def test_a_shape_that_the_valid_network_cannot_take(patches: Path, tmp_path: Path) -> None:
    message = refused(patches, tmp_path, replace(SMALL, padding="valid"))
    assert "--img_shape 190 190" in message or "--img_shape" in message


def test_an_existing_output(patches: Path, run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    with pytest.raises(OutputError, match="exists already"):
        train(patches, run, SMALL)
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}


def test_a_file_where_the_output_should_go(patches: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        train(patches, tmp_path / "file" / "run", SMALL)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_while_saving(
    patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clusternet.files.arrays.np.savez", full)
    assert "No space left on device" in refused(patches, tmp_path)


def test_weights_of_another_network(run: Path, patches: Path, tmp_path: Path) -> None:
    wider = replace(SMALL, base_filters=4)
    message = refused(patches, tmp_path, wider, pretrained_weights=run / "model.keras")
    assert "do not fit this network" in message


def test_diverged_features_are_reported(
    patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Learner.embed_sample

    def diverged(*args: Any) -> Sample:
        sample = real(*args)
        return replace(sample, features=np.full_like(sample.features, np.nan))

    monkeypatch.setattr(Learner, "embed_sample", diverged)
    assert "diverged" in refused(patches, tmp_path)


def test_test_patches_of_another_kind(
    patches: Path, write_raster: WriteRaster, tmp_path: Path
) -> None:
    write_raster("test/scene/a.tif", four_textures(32, 48, 4))
    with pytest.raises(PatchError, match=r"expected 3 band\(s\) of uint8"):
        train(patches, tmp_path / "run", SMALL, test_img_folder=tmp_path / "test")


def test_an_epoch_is_as_large_as_asked(patches: Path, tmp_path: Path) -> None:
    run = train(patches, tmp_path / "run", replace(SMALL, num_epochs=1, epoch_megapixels=0.0031))
    (record,) = Checkpoint.load(run).history
    # 3,100 pixels are three patches; the pass is a part of the epoch
    assert record.patches_per_second * record.seconds >= 3
    assert record.steps == 3


def test_no_epochs_leave_an_untrained_run(patches: Path, tmp_path: Path) -> None:
    run = train(patches, tmp_path / "run", replace(SMALL, num_epochs=0))
    found = clusternet.load(run).predict(np.zeros((40, 40, 3), np.uint8))
    assert found.shape == (40, 40)


@pytest.mark.parametrize(
    ("shape", "num_patches", "expected"),
    [((256, 256), 10_000, 4), ((512, 512), 10_000, 1), ((300, 400), 10_000, 2),
     ((128, 128), 10_000, 16), ((64, 64), 10_000, 64), ((2000, 2000), 10_000, 1),  # of much data
     ((128, 128), 371, 4), ((128, 128), 180, 2), ((128, 128), 60, 1), ((256, 256), 20, 1)],
)  # fmt: skip
def test_an_epoch_is_thirty_steps_where_a_quarter_of_a_megapixel_a_step_allows(
    shape: tuple[int, int], num_patches: int, expected: int
) -> None:
    assert TrainingSettings().batch_size(shape, num_patches) == expected


@pytest.mark.parametrize(
    ("shape", "num_patches", "changes", "expected"),
    [
        ((1024, 1024), 50, {}, "patches of 1024 x 1024 make an epoch of 8 training steps"),
        ((256, 256), 200, {"train_batch_size": 32}, "an epoch of 3 training steps"),
        ((1024, 1024), 50, {"epoch_megapixels": 50}, ""),
        ((1024, 1024), 8, {}, ""),  # there are no more
        ((1024, 1024), 50, {"num_epochs": 0}, ""),
        ((512, 512), 5000, {}, ""),
        ((64, 64), 5000, {}, ""),
    ],
)
def test_large_patches_that_make_few_steps_are_warned_of(
    caplog: pytest.LogCaptureFixture,
    shape: tuple[int, int],
    num_patches: int,
    changes: dict[str, int],
    expected: str,
) -> None:
    warn_of_few_steps(TrainingSettings(**changes), shape, num_patches)
    assert expected in caplog.text
    assert bool(caplog.text) == bool(expected)


def test_a_step_is_as_large_as_asked_for() -> None:
    for asked in (1, 4, 100):
        settings = TrainingSettings(train_batch_size=asked)
        assert settings.batch_size((512, 512), 20) == asked


@pytest.mark.parametrize(
    ("megapixels", "num_patches", "expected"),
    [(0, 5000, 5000), (1, 5000, 16), (8, 5000, 123), (8, 369, 123), (8, 300, 100), (8, 90, 30),
     (8, 60, 30), (8, 30, 30), (8, 29, 29), (8, 1, 1), (float("inf"), 300, 100)],
)  # fmt: skip
def test_an_epoch_is_a_third_of_the_patches_at_most_but_thirty(
    megapixels: float, num_patches: int, expected: int
) -> None:
    settings = TrainingSettings(epoch_megapixels=megapixels)
    assert settings.epoch_patches((256, 256), num_patches) == expected


def test_a_step_of_no_patches_is_refused() -> None:
    with pytest.raises(SettingsError, match="train_batch_size: expected a number above 0"):
        TrainingSettings(train_batch_size=0)


def test_groups_have_no_neighbours() -> None:
    with pytest.raises(SettingsError, match="neighbours needs cluster_scope epoch"):
        TrainingSettings(cluster_scope="batch")


@pytest.mark.parametrize("name", ["num_epochs", "epoch_megapixels"])
def test_what_may_be_nothing_may_not_be_less(name: str) -> None:
    for value in (-1, float("nan")):
        with pytest.raises(
            SettingsError, match=f"Setting {name}: expected (0 or more|a whole number)"
        ):
            TrainingSettings(**{name: value})


def test_an_epoch_without_end_takes_all_patches(patches: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, num_epochs=1, epoch_megapixels=float("inf"))
    assert (train(patches, tmp_path / "run", settings) / "history.csv").exists()
