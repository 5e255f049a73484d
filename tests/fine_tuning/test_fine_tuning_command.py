"""What `clusternet train --labels` refuses, before the network library is loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import WriteRaster
from random_run import make_run

from clusternet.commands import train as command
from clusternet.errors import RunError
from clusternet.fine_tuning import tune
from clusternet.fine_tuning.first_settings import first_settings
from clusternet.fine_tuning.patch_labels import PatchLabels
from clusternet.fine_tuning.tune import fine_tune, tune_with
from clusternet.settings import TilingSettings, TrainingSettings
from clusternet.tiling.tile import tile_rasters
from clusternet.training.run_files import CLASS_HEAD, STATE
from clusternet.training.run_outputs import RunOutputs
from clusternet.training.train import train


@pytest.fixture
def patches(write_raster: WriteRaster, tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(1, 255, (64, 64, 3)).astype(np.uint8)
    write_raster("scenes/town.tif", pixels)
    tile_rasters(tmp_path / "scenes", tmp_path / "patches", TilingSettings((32, 32)))
    return tmp_path / "patches"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--labels", "{0}/none"], "none: no such file or folder of labels"),
        (["--labels", "{0}/one"], "expected labels of two classes or more"),
        (["--labels", "{0}/sea"], "no label file is named like one of the 1 scene(s)"),
        (["--labels", "{0}/one", "--output", "{0}/one"], "one: is the input"),
        (["--labels", "{0}/one", "--test_img_folder", "{0}/patches"], "--test_img_folder: writes"),
        (["--labels", "{0}/one", "--current_epoch", "3"], "--current_epoch: counts epochs"),
        (["--labels", "{0}/one", "--pretrained_weights", "{0}/scenes"], "scenes a run folder"),
        (["--class_field", "use"], "--class_field: says how labels are read; give --labels"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_one_line(
    patches: Path, tmp_path: Path, write_raster: WriteRaster, flags: list[str], words: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def load() -> None:
        raise AssertionError("the network library is loaded")

    monkeypatch.setattr(command, "load_network_library", load)
    write_raster("one/town.tif", np.full((64, 64), 3, np.uint8))
    write_raster("sea/sea.tif", np.full((64, 64), 3, np.uint8))
    given = [str(patches), "--output", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as end:
        command.main([*given, *(flag.format(tmp_path) for flag in flags)])
    lines = capsys.readouterr().err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert end.value.code == 2 and len(errors) == 1
    assert words.format(tmp_path) in errors[0]
    assert not (tmp_path / "run").exists()


def test_a_run_is_resumed_as_it_was_started(tmp_path: Path, patches: Path) -> None:
    (tmp_path / "run/checkpoint").mkdir(parents=True)
    (tmp_path / "run" / STATE).touch()
    outputs = RunOutputs(patches, tmp_path / "run", range(2), resume=True)
    labels = PatchLabels((), (32, 32), {}, {})
    with pytest.raises(RunError, match="was started without --labels"):
        tune_with(outputs, labels, TrainingSettings())
    (tmp_path / "run" / CLASS_HEAD).touch()
    with pytest.raises(RunError, match="learns classes; give --labels"):
        train(patches, tmp_path / "run", resume=True)


def test_the_settings_of_the_run_stand(tmp_path: Path, patches: Path) -> None:
    (tmp_path / "broken").mkdir()
    with pytest.raises(RunError, match=r"is .*broken a run folder"):
        fine_tune(patches, patches, tmp_path / "new", pretrained_weights=tmp_path / "broken")


@pytest.mark.parametrize(("flags", "epochs"), [([], 0), (["--num_epochs", "3"], 3)])
def test_the_class_head_alone_is_fitted_unless_epochs_are_asked_for(
    tmp_path: Path, patches: Path, monkeypatch: pytest.MonkeyPatch, write_raster: WriteRaster,
    flags: list[str], epochs: int,
) -> None:  # fmt: skip
    write_raster("labels/town.tif", np.arange(64 * 64).reshape(64, 64).astype(np.uint8) % 3)
    run = make_run(tmp_path / "run")
    received: list[TrainingSettings] = []
    monkeypatch.setattr(command, "load_network_library", lambda: None)
    monkeypatch.setattr(tune, "tune_with", lambda _, __, settings: received.append(settings))
    given = [str(patches), "--labels", str(tmp_path / "labels"), "--pretrained_weights", str(run)]
    command.main([*given, "--output", str(tmp_path / "new"), *flags])
    (settings,) = received
    assert settings.num_epochs == epochs and not settings.fixed_filters  # as the run
    assert first_settings(None).num_epochs == 0
