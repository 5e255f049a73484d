"""The quality benchmark still runs, on any folder of labelled scenes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from conftest import ROOT, WriteRaster, four_textures
from PIL import Image

import clusternet
from clusternet.errors import RunError
from clusternet.network.backend import keras
from clusternet.settings import TrainingSettings

SETTINGS = """base_filters: 2
num_features: 8
num_clusters: 100
num_epochs: 1
samples_per_centroid: 40
precision: float32
"""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write three scenes of four textures, one class each; the last is not labelled everywhere."""
    folder = tmp_path_factory.mktemp("scenes")
    for name in ("images", "masks"):
        (folder / name).mkdir()
    truth = np.repeat(np.repeat(np.arange(4, dtype=np.uint8).reshape(2, 2), 64, 0), 96, 1)
    for number in range(3):
        pixels = four_textures(128, 192, 3, seed=number)
        Image.fromarray(pixels).save(folder / "images" / f"scene{number}.png")
        labels = truth.copy()
        if number == 2:
            labels[:20] = 255
        Image.fromarray(labels).save(folder / "masks" / f"scene{number}.png")
    for sidecar in ("images/scene0.png.aux.xml", "masks/scene1.qml"):  # as GDAL and QGIS leave them
        (folder / sidecar).write_text("<none/>")
    (folder / "classes.json").write_text('{"0": "a", "1": "b", "2": "c", "3": "d", "255": "none"}')
    (folder / "tiny.yaml").write_text(SETTINGS)
    return folder


def measure(scenes: Path, output: Path, *arguments: str) -> list[dict[str, object]]:
    """Run the benchmark and return its rows."""
    subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "quality.py", scenes, "--output_folder", output,
         "--config", scenes / "tiny.yaml", "--seeds", "1", "--patch_size", "64", "--step", "2",
         "--shown", "1", "--rounds", "1", "--stroke_side", "128", "--supervised_steps", "2",
         *arguments],
        check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return list(json.loads((output / "results.json").read_text())["rows"])


def test_methods_are_scored_side_by_side_and_held_out_scenes_apart(
    scenes: Path, tmp_path: Path
) -> None:
    measure(scenes, tmp_path, "--hold_out", "scene2", "--methods", "bands", "default")
    methods = ("weighted", "forest", "forest_smoothed", "auto", "supervised")
    rows = measure(scenes, tmp_path, "--hold_out", "scene2", "--draws", "1", "--methods", *methods)
    found = {(row["method"], row["scenes"]) for row in rows}
    assert found == {
        (name, part) for name in ("bands", "default", *methods) for part in ("all", "held out")
    }
    assert all(0 <= float(row["a 10% mean_iou"]) <= 1 for row in rows)
    learned = [row["a 50% mean_iou"] for row in rows if row["method"] == "auto"]
    assert min(learned) > 0.9  # four textures
    assert "d smoothed strokes to 0.5" in rows[0]
    trained_on = [path.name for path in (tmp_path / "work" / "training_images").iterdir()]
    assert sorted(trained_on) == ["scene0.png", "scene1.png"]
    assert (tmp_path / "results.csv").exists() and (tmp_path / "tables.md").exists()
    with Image.open(next((tmp_path / "maps").glob("*.png"))) as picture:
        assert min(picture.size) > 100


def test_every_seed_is_another_user_of_the_forest(scenes: Path, tmp_path: Path) -> None:
    rows = measure(scenes, tmp_path, "--methods", "forest", "--seeds", "1", "2")
    assert [(row["method"], row["seed"], row["scenes"]) for row in rows] == [
        ("forest", 1, "all"), ("forest", 2, "all"),
    ]  # fmt: skip
    assert "a 10% mean_iou" in rows[0] and "a 10% mean_iou" not in rows[1]
    score = "d mean_iou after 1 rounds"
    assert rows[0][score] != rows[1][score]


def draw_curve(scenes: Path, output: Path, *arguments: str | Path) -> list[dict[str, object]]:
    """Run curve.py and return its rows."""
    subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "curve.py", scenes, "--output_folder", output,
         "--seeds", "1", "--patch_size", "64", "--step", "2", *arguments],
        check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return list(json.loads((output / "results.json").read_text())["rows"])


def test_scores_are_drawn_against_steps(scenes: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow.yaml"
    slow.write_text(SETTINGS + "learn_rate: 0.00001\ntrain_batch_size: 2\n")
    epochs = ("--epochs", "1", "0", "--hold_out", "scene2")
    rows = draw_curve(scenes, tmp_path / "out", *epochs, "--configs", scenes / "tiny.yaml", slow)
    steps = {(row["method"], row["epoch"], row["steps"]) for row in rows}
    # two scenes of 128 x 192 are 12 patches
    assert steps == {("tiny", 0, 0), ("tiny", 1, 12), ("slow", 0, 0), ("slow", 1, 6)}
    first = [row["a 10% mean_iou"] for row in rows if row["epoch"] == 0]
    assert first[:2] == first[2:]  # all scenes, scenes held out: the same untrained network
    with Image.open(tmp_path / "out" / "curve.png") as picture:
        assert picture.width > picture.height
    again = draw_curve(scenes, tmp_path / "out", *epochs, "--configs", slow)
    assert again == rows  # measured anew from the first weights


def test_what_was_scored_before_a_training_fails_is_kept(scenes: Path, tmp_path: Path) -> None:
    def train(patches: Path, run: Path, settings: TrainingSettings, **ways: bool) -> Path:
        if settings.num_epochs:
            raise RunError(f"{run}: no epoch for you.")
        return original(patches, run, settings, **ways)

    original = clusternet.train
    arguments = ("--output_folder", tmp_path, "--seeds", "1", "--patch_size", "64", "--step", "2")
    config = ("--configs", scenes / "tiny.yaml", "--epochs", "0", "1")
    with patch.object(clusternet, "train", train):
        message = refused(scenes, *arguments, *config, script="curve.py")
    assert message.endswith("no epoch for you.")
    found = json.loads((tmp_path / "results.json").read_text())
    assert [(row["method"], row["epoch"]) for row in found["rows"]] == [("tiny", 0)]
    assert found["facts"]["backend"] == keras.backend.backend()
    assert {"keras", "faiss-cpu", "scikit-learn"} <= found["facts"]["versions"].keys()


def test_changes_of_the_method_are_trained_beside_it(scenes: Path, tmp_path: Path) -> None:
    config = ("--configs", scenes / "tiny.yaml", "--epochs", "2")
    names = ("mean_teacher", "soft")
    rows = draw_curve(scenes, tmp_path, *config, "--changes", *names)
    losses = {row["method"]: row["loss"] for row in rows}
    assert set(losses) == {"tiny", *names}
    assert len(set(losses.values())) == 3  # each of them did something
    config[1].with_name("soft.yaml").write_text(SETTINGS)
    message = refused(scenes, "--configs", scenes / "soft.yaml", "--changes", "soft",
                      script="curve.py")  # fmt: skip
    assert message.startswith(f"error: --configs {scenes / 'soft.yaml'}: expected names that")


def test_pixels_without_data_are_no_edges_for_strokes() -> None:
    code = (
        "import sys; sys.path.insert(0, 'benchmarks')\n"
        "import numpy as np\n"
        "from scoring.strokes import make_guide\n"
        "pixels = np.random.default_rng(0).normal(50, 9, (40, 40, 4)).astype(np.float32)\n"
        "valid = np.ones((40, 40), bool)\n"
        "valid[:9] = False\n"
        "pixels[:5], pixels[5:9] = np.nan, -9999\n"
        "for count in (1, 3, 4):\n"
        "    guide = make_guide(pixels[..., :count], valid)\n"
        "    assert guide.shape == (min(count, 3), 40, 40)\n"
        "    assert np.isfinite(guide).all() and guide[:, valid].std() > 10\n"
        "    assert not make_guide(pixels[..., :count], valid & False).any()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_every_change_finds_the_parts_that_it_replaces() -> None:
    code = (
        "import sys; sys.path.insert(0, 'benchmarks')\n"
        "from changes import CHANGES\n"
        "from clusternet.settings import TrainingSettings\n"
        "for change in CHANGES.values():\n"
        "    assert change.settings or change.replacements\n"
        "    change.settings_from(TrainingSettings())\n"
        "    with change.in_force():\n"
        "        pass\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_settings_to_compare_have_names_of_their_own(scenes: Path, tmp_path: Path) -> None:
    config = scenes / "tiny.yaml"
    other = tmp_path / "tiny.yaml"
    other.write_text(SETTINGS)
    message = refused(scenes, "--configs", config, other, script="curve.py")
    assert message.startswith(f"error: --configs {other}: expected names that differ")
    other.write_text("nmu_epochs: 3\n")
    for arguments, script in (
        (("--configs", other), "curve.py"),
        (("--config", other), "quality.py"),
    ):
        message = refused(scenes, *arguments, script=script)
        assert message == f"error: {other}: 'nmu_epochs' is not a setting. Did you mean num_epochs?"
    message = refused(scenes, "--patch_size", "40", script="curve.py")
    assert "Expected patches with sides divisible by 16" in message
    message = refused(scenes, "--epochs", "-1", script="curve.py")
    assert "expected a whole number, 0 or above, found -1" in message


def refused(data: Path, *arguments: str | Path, script: str = "quality.py") -> str:
    """Return the one line that a benchmark ends with."""
    return complaints(data, *arguments, script=script).splitlines()[-1]


def complaints(data: Path, *arguments: str | Path, script: str = "quality.py") -> str:
    """Return what a benchmark that fails says; in this process, which is far quicker."""
    path = ROOT / "benchmarks" / script
    said = io.StringIO()
    with (
        patch.object(sys, "argv", list(map(str, (path, data, *arguments)))),
        patch.object(sys, "path", [str(path.parent), *sys.path]),
        patch("clusternet.command_line.command._log_to_stderr"),  # this process keeps its ways
        contextlib.redirect_stderr(said),
        warnings.catch_warnings(action="ignore"),
        pytest.raises(SystemExit) as ended,
    ):
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 2
    return said.getvalue()


def test_results_of_other_scenes_are_not_mixed(scenes: Path, tmp_path: Path) -> None:
    methods = ("--methods", "bands")
    measure(scenes, tmp_path, *methods)
    kept = (tmp_path / "results.json").read_text()
    message = refused(scenes, "--output_folder", tmp_path, *methods, "--every", "2")
    assert "choose another --output_folder" in message
    message = refused(scenes, "--output_folder", tmp_path, "--patch_size", "64", "--step", "2",
                      script="curve.py")  # fmt: skip
    assert "of another script" in message
    assert (tmp_path / "results.json").read_text() == kept


def test_results_that_are_none_are_not_replaced(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{")
    message = refused(scenes, "--output_folder", tmp_path, "--methods", "bands")
    assert "exists already and is no folder of results" in message
    assert (tmp_path / "results.json").read_text() == "{"


def test_an_output_folder_that_cannot_be_made(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "quality"
    message = refused(scenes, "--output_folder", folder, "--methods", "bands")
    assert message.startswith(f"error: {folder}: cannot be written")


@pytest.mark.parametrize("option", ["--every", "--downscale", "--seeds", "--draws"])
def test_nothing_is_counted_from_nought(scenes: Path, tmp_path: Path, option: str) -> None:
    message = refused(scenes, "--output_folder", tmp_path / "quality", option, "0")
    assert f"{option}: expected a whole number above 0, found 0" in message
    assert not (tmp_path / "quality").exists()


@pytest.mark.parametrize(("name", "small"), [("images", False), ("masks", True)])
def test_a_damaged_file_is_named(scenes: Path, tmp_path: Path, name: str, small: bool) -> None:
    data = tmp_path / "data"
    shutil.copytree(scenes, data)
    damaged = data / name / "scene1.png"
    damaged.write_bytes(damaged.read_bytes()[:-200])
    arguments = ["--methods", "bands", *(["--downscale", "2"] if small else [])]
    message = refused(data, "--output_folder", tmp_path / "quality", *arguments)
    assert message.startswith(f"error: {damaged}: cannot be read")


@pytest.mark.parametrize(
    ("classes", "mask", "arguments", "message"),
    [
        (
            '{"0": "a", "1": "b"}',
            (8, 8),
            ("--methods", "bands"),
            "scenes all: expected labels in two blocks of 128 x 128 pixels or more",
        ),
        (
            '{"0": "a", "1": "b"}',
            (8, 8),
            ("--downscale", "9", "--methods", "bands"),
            "--downscale 9: nothing is left of",
        ),
        (None, (8, 8), (), "classes.json: expected"),
        ('{"0": "a"}', (8, 8), (), "expected two classes or more, found 1"),
        ('{"0": "a", "1": "b"}', None, (), "no mask for lonely.png"),
        ('{"0": "a", "1": "b"}', (8, 9), (), "lonely.png: expected the size of its image"),
        ('{"0": "a", "1": "b"}', (8, 8), ("--hold_out", "x"), "--hold_out x: no scene"),
        (
            '{"0": "a", "1": "b"}',
            (8, 8),
            ("--patch_size", "128"),
            "--patch_size 128: method published cannot train on such patches",
        ),
        (
            '{"0": "a", "1": "b"}',
            (8, 8),
            ("--patch_size", "100", "--methods", "default"),
            "--patch_size 100: method default",
        ),
    ],
)
def test_a_folder_that_cannot_be_scored_is_refused_in_one_line(
    tmp_path: Path,
    classes: str | None,
    mask: tuple[int, int] | None,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    data = tmp_path / "data"
    for name in ("images", "masks"):
        (data / name).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(data / "images" / "lonely.png")
    if classes is not None:
        (data / "classes.json").write_text(classes)
    if mask is not None:
        Image.new("L", mask).save(data / "masks" / "lonely.png")
    said = complaints(data, "--output_folder", tmp_path / "quality", *arguments)
    assert message in said
    assert said.startswith("error: ") and said.count("\n") == 1


def test_labels_of_pixels_without_data_do_not_count(
    tmp_path: Path, write_raster: WriteRaster
) -> None:
    data = tmp_path / "data"
    (data / "masks").mkdir(parents=True)
    (data / "classes.json").write_text('["a", "b"]')
    for scene in ("dark", "light"):
        labels = np.repeat(np.arange(2, dtype=np.uint8), 128)[None].repeat(128, axis=0)
        Image.fromarray(labels).save(data / "masks" / f"{scene}.png")
        pixels = four_textures(128, 256, 3, seed=1) * np.uint8(scene == "light")
        write_raster(f"data/images/{scene}.tif", pixels, nodata=0)
    out = ("--output_folder", tmp_path / "light")
    message = refused(data, *out, "--methods", "bands", "--hold_out", "light")
    assert message.startswith("error: --hold_out: ") and "no pixel with data" in message
    out = ("--output_folder", tmp_path / "dark")
    message = refused(data, *out, "--methods", "supervised", "--hold_out", "dark")
    assert "expected labels in two blocks of 128 x 128 pixels or more, found them in 0" in message


def test_images_without_any_are_refused(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data" / "classes.json").write_text('{"0": "a", "1": "b"}')
    message = refused(tmp_path / "data", "--output_folder", tmp_path / "quality")
    assert message.endswith("images: expected rasters, found none.")
    assert not (tmp_path / "quality").exists()  # a call that is mended may have other options
