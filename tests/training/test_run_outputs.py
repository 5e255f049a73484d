"""A run gives way to another one only when that has an epoch, and its files know each other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import WriteRaster, four_textures
from every_command import replace_what_takes_long
from example_world import files_below

from clusternet.errors import OutputError, RunError
from clusternet.prediction.scene_lock import lock_scene
from clusternet.settings import TilingSettings, TrainingSettings
from clusternet.tiling.tile import tile_rasters
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.run import load_run
from clusternet.training.run_identity import stated_identity
from clusternet.training.train import train

SETTINGS = TrainingSettings(num_clusters=2, num_epochs=2, feature_transform="none", workers=1,
                            samples_per_centroid=8)  # fmt: skip
STATING = ("settings.yaml", "bands.json", "codebook.npz", "history.csv", "checkpoint/state.npz")


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        replace_what_takes_long(patch)
        yield


@pytest.fixture
def patches(write_raster: WriteRaster, tmp_path: Path) -> Path:
    scene = write_raster("scene.tif", four_textures(32, 32, 3))
    tile_rasters(scene, tmp_path / "patches", TilingSettings((16, 16)))
    return tmp_path / "patches"


def identities(run: Path) -> set[str]:
    return {stated_identity(run / name) for name in STATING}


def test_all_files_of_a_run_state_its_identity(patches, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for run, settings in ((one, SETTINGS), (two, replace(SETTINGS, seed=2))):
        train(patches, run, settings)
        assert len(identities(run)) == 1 and identities(run) != {""}
        load_run(run)
    assert identities(one) != identities(two)
    train(patches, one, SETTINGS, resume=True)
    assert len(identities(one)) == 1


@pytest.mark.parametrize("name", STATING)
def test_a_file_of_another_run_is_refused(patches, tmp_path, name):
    one, two = tmp_path / "one", tmp_path / "two"
    train(patches, one, SETTINGS)
    train(patches, two, replace(SETTINGS, seed=4))
    shutil.copy(two / name, one / name)
    if name.startswith("checkpoint"):
        with pytest.raises(RunError, match=r"settings.yaml and checkpoint/state.npz are of diff"):
            train(patches, one, SETTINGS, resume=True)
        return
    with pytest.raises(RunError, match=r"are of different (epochs or )?runs"):
        load_run(one)


def test_a_run_that_states_no_identity_is_read_and_gets_one(patches, tmp_path):
    run = tmp_path / "run"
    train(patches, run, SETTINGS)
    text = (run / "settings.yaml").read_text()
    (run / "settings.yaml").write_text(text.partition("\n")[2])
    values = dict(np.load(run / "checkpoint/state.npz"))
    del values["run"]
    with (run / "checkpoint/state.npz").open("wb") as stream:
        np.savez(stream, **values)
    load_run(run)
    assert Checkpoint.load(run).identity == ""
    train(patches, run, SETTINGS, resume=True)
    assert len(identities(run) - {""}) == 1
    assert stated_identity(run / "settings.yaml") == stated_identity(run / "codebook.npz") != ""


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_an_earlier_run_stays_until_the_new_one_has_an_epoch(
    patches, tmp_path, monkeypatch, failure
):
    run = tmp_path / "run"
    train(patches, run, SETTINGS)
    before = files_below(tmp_path)

    def fail(*_args):
        assert files_below(run) == {place.removeprefix("run/"): content
                                    for place, content in before.items()
                                    if place.startswith("run/")}  # fmt: skip
        raise failure

    monkeypatch.setattr("clusternet.training.loop.label_and_fit", fail)
    with pytest.raises(failure) as raised:
        train(patches, run, SETTINGS, overwrite=True)
    assert files_below(tmp_path) == before
    if failure is KeyboardInterrupt:
        assert "no complete epoch" in str(raised.value) and f"{run} holds" in str(raised.value)


@pytest.mark.parametrize("epochs", [0, 1, 2])
@pytest.mark.parametrize("inside", ["test_maps", "mine/maps"])
def test_a_new_run_takes_the_place_of_the_old_one(patches, tmp_path, epochs, inside):
    run = tmp_path / "run"
    train(patches, run, SETTINGS)
    drawn = run / "interactive" / "scene-1" / "strokes.gpkg"
    drawn.parent.mkdir(parents=True)
    drawn.write_text("drawn by hand")
    (drawn.parent / "features_1.npy").write_text("computed")
    old = identities(run)
    settings = replace(SETTINGS, num_epochs=epochs, seed=2)
    maps = None if inside == "test_maps" else run / inside
    train(patches, run, settings, overwrite=True, test_img_folder=patches,
          out_pred_masks_test=maps)  # fmt: skip
    assert len(identities(run) - {""}) == 1 and identities(run) != old
    assert drawn.read_text() == "drawn by hand"
    assert not (drawn.parent / "features_1.npy").exists()
    names = [f"epoch_00{epoch}" for epoch in range(epochs + 1)]
    assert sorted(path.stem for path in (run / "previews").iterdir()) == names
    assert sorted(path.name for path in run.glob(f"{inside}/*")) == names[1:]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_run_that_the_page_works_with_is_not_replaced(patches, tmp_path):
    run = tmp_path / "run"
    train(patches, run, SETTINGS)
    lock = lock_scene(run / "interactive" / "scene-1")
    with pytest.raises(OutputError, match=r"run: the page or tools/interactive.py works with it"):
        train(patches, run, SETTINGS, overwrite=True)
    lock.release()
    train(patches, run, SETTINGS, overwrite=True)
