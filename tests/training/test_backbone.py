"""A run with a backbone stands on its own, and refuses another backbone than its own."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import four_textures
from memory_training import make_training, random_patches
from PIL import Image
from thread_group import ThreadGroup, in_threads
from tiny_backbones import layers, make_backbone_run, save, two_levels

import clusternet
from clusternet.backbone.describing import Describer
from clusternet.backbone.loading import Opened
from clusternet.backbone.measuring import measure
from clusternet.backbone.stretch import Stretch
from clusternet.clustering.reduction import Reduction
from clusternet.errors import ClusterNetError, RunError, SettingsError
from clusternet.network.backend import keras
from clusternet.settings import TrainingSettings
from clusternet.training.backbone import RunBackbone
from clusternet.training.backbone_files import StoredBackbone
from clusternet.training.epoch_plan import TrainingData
from clusternet.training.run import load_run
from clusternet.training.shared_backbone import share_backbone
from clusternet.training.train import train

SETTINGS = TrainingSettings(
    num_clusters=5, num_epochs=0, base_filters=2, num_features=6, train_batch_size=2,
    samples_per_centroid=40, precision="float32", backbone="a.keras", backbone_bands=(3, 2, 1),
)  # fmt: skip


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patches")
    (folder / "scene").mkdir()
    for number in range(3):
        pixels = four_textures(32, 48, 3, seed=number)
        Image.fromarray(pixels).save(folder / "scene" / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(two_levels(), tmp_path_factory.mktemp("network") / "net.keras")


@pytest.mark.usefixtures("eagerly")
def test_a_run_needs_nothing_but_its_folder(patches: Path, network: Path, tmp_path: Path) -> None:
    mine = shutil.copy(network, tmp_path / "mine.keras")
    settings = replace(SETTINGS, backbone=str(mine), backbone_scale=2)
    run = train(patches, tmp_path / "run", settings)
    assert (run / "backbone.keras").read_bytes() == network.read_bytes()
    Path(mine).unlink()
    train(patches, run, replace(settings, num_epochs=1), resume=True)
    run = run.rename(tmp_path / "moved")
    loaded = load_run(run)
    assert loaded.settings.backbone_bands == (3, 2, 1)
    assert loaded.backbone is not None and loaded.backbone.stretch.bands == (3, 2, 1)
    # enlarged twice, the strides of 2 and 8 pixels are half as large
    assert [level.stride for level in loaded.backbone.geometry.levels] == [1, 4]
    reduction = loaded.stored.reduction
    assert reduction is not None and reduction.num_features == 10
    pixels = four_textures(32, 48, 3)
    features = clusternet.load(run).features(pixels)
    assert features.shape[2] == 6 + 24 + 10
    # the levels of the backbone were scaled to a total variance of 1 each
    assert 1 < features[..., -10:].var(axis=(0, 1)).sum() < 3


@pytest.mark.usefixtures("eagerly")
def test_a_run_may_refer_to_the_file_of_its_backbone(
    patches: Path, network: Path, tmp_path: Path
) -> None:
    mine = Path(shutil.copy(network, tmp_path / "mine.keras"))
    run = train(
        patches, tmp_path / "run", replace(SETTINGS, backbone=str(mine), backbone_file="reference")
    )
    assert not (run / "backbone.keras").exists()
    assert load_run(run).backbone is not None
    save(two_levels(), mine)
    with pytest.raises(RunError, match=r"mine\.keras: is not the backbone .*SHA-256 differs"):
        load_run(run)
    mine.unlink()
    with pytest.raises(RunError, match=r"mine\.keras: missing; it is the backbone"):
        load_run(run)


def test_what_cannot_be_trained_with_is_refused_before_anything_is_written(
    patches: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "run"
    settings = replace(SETTINGS, backbone=str(network))
    with pytest.raises(SettingsError, match=r"--backbone_bands: expected three bands from 1 to 3"):
        train(patches, output, replace(settings, backbone_bands=(4, 3, 2)))
    rgb = keras.Input((None, None, 3))
    dead = keras.Model(rgb, layers.Conv2D(2, 3, kernel_initializer="zeros")(rgb))
    with pytest.raises(ClusterNetError, match="gives all pixels the same features"):
        train(patches, output, replace(settings, backbone=str(save(dead, tmp_path / "dead.keras"))))
    opened = "clusternet.backbone.applications.build"
    monkeypatch.setattr(opened, lambda name, weights: two_levels())
    by_name = replace(settings, backbone="VGG16", backbone_file="reference")
    with pytest.raises(SettingsError, match=r"--backbone_file reference: needs a \.keras file"):
        train(patches, output, by_name)
    assert not output.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone_weights": "imagenet"}, "backbone_weights: needs a backbone"),
        ({"backbone_bands": (3, 2, 1)}, "backbone_bands: needs a backbone"),
        ({"backbone_scale": 2}, "backbone_scale: needs a backbone"),
        ({"backbone": "a.keras", "backbone_scale": 0}, "backbone_scale: expected a number above 0"),
        ({"backbone_file": "copy"}, "backbone_file: needs a backbone"),
        ({"backbone": " "}, "backbone: expected a file or the name"),
        ({"backbone": "a.keras", "backbone_bands": (0, 1, 2)}, "three numbers above 0"),
        ({"backbone": "a.keras", "backbone_bands": (1, 2)}, "three whole numbers"),
        ({"backbone": "a.keras", "cluster_scope": "batch", "feature_transform": "none"},
         "backbone: expected none with cluster_scope batch"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        TrainingSettings(**changes)


def test_settings_of_a_backbone_come_back_from_yaml() -> None:
    settings = replace(SETTINGS, backbone="hf://a/b", backbone_file="copy")
    assert TrainingSettings.from_mapping(settings.to_mapping()) == settings


def test_files_of_another_backbone_are_refused(tmp_path: Path) -> None:
    run = make_backbone_run(tmp_path / "run", two_levels())
    assert load_run(run).backbone is not None
    description = run / "backbone.json"
    kept = description.read_text()
    for wrong in ("[]", "{", json.dumps(json.loads(kept) | {"stretch": {"bands": [1, 2]}}),
                  json.dumps(json.loads(kept) | {"geometry": {"levels": 3}}),
                  json.dumps(json.loads(kept) | {"file": 7})):  # fmt: skip
        description.write_text(wrong)
        with pytest.raises(RunError, match=r"backbone\.json"):
            load_run(run)
    description.unlink()
    with pytest.raises(RunError, match=r"backbone\.json: missing, but the run was trained with"):
        load_run(run)
    description.write_text(kept)
    network = (run / "backbone.keras").read_bytes()
    (run / "backbone.keras").write_bytes(network + b"more")
    with pytest.raises(RunError, match="has changed"):
        load_run(run)


def test_a_codebook_without_the_reduction_is_refused(tmp_path: Path) -> None:
    run = make_backbone_run(tmp_path / "run", two_levels())
    with np.load(run / "codebook.npz") as arrays:
        values = {name: arrays[name] for name in arrays if not name.startswith("backbone")}
    np.savez(run / "codebook.npz", **values)
    with pytest.raises(RunError, match="differ in whether the run has a backbone"):
        load_run(run)


def test_all_members_of_a_group_describe_pixels_alike(tmp_path: Path) -> None:
    calls = []

    def prepare(data: TrainingData) -> RunBackbone:
        calls.append(data.group.size)
        network = two_levels()
        stretch = Stretch((3, 2, 1), (10.0, 0.0, 20.0), (200.0, 250.0, 240.0))
        geometry = measure(network, "mine")
        reduction = Reduction(np.ones(10, np.float32), np.eye(10, 4, dtype=np.float32))
        stored = StoredBackbone("mine", "backbone.keras", "", stretch, geometry)
        describer = Describer(network, geometry, stretch, data.survey.bands, reduction)
        return RunBackbone(describer, Opened("mine", network, None, None), stored)

    def work(group: ThreadGroup) -> np.ndarray:
        data = replace(training.data, group=group)
        backbone = share_backbone(prepare, data)
        assert backbone is not None and backbone.opened.name == "mine"
        return backbone.describer.describe_patches(pixels)

    training, pixels = make_training(), random_patches().pixels[:2]
    one, other = in_threads(2, work)

    assert calls == [1]  # in the first one, as if it were alone
    assert one.shape == (2, 32, 32, 4) and one.std() > 0.01
    np.testing.assert_array_equal(one, other)


def test_members_of_a_group_without_a_backbone_have_none() -> None:
    data = make_training().data

    def work(group: ThreadGroup) -> RunBackbone | None:
        return share_backbone(lambda _: None, replace(data, group=group))

    assert in_threads(2, work) == [None, None]
