"""tools/full_prediction.py as a user types it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import ROOT, WriteRaster, four_textures
from random_run import make_run

SCRIPT = ROOT / "tools" / "full_prediction.py"


def full_prediction(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture
def scenes(write_raster: WriteRaster, tmp_path: Path) -> Path:
    for name in ("in/a.tif", "in/sub/b.tif"):
        write_raster(name, four_textures(40, 50, 3))
    return tmp_path / "in"


def assert_refused(done: subprocess.CompletedProcess[str], words: str, output_folder: Path) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ") and words in done.stderr
    assert not [path for path in output_folder.rglob("*") if path.is_file()]


def test_help_answers_at_once() -> None:
    started = time.perf_counter()
    done = full_prediction("--help")
    assert time.perf_counter() - started < 5  # half a second on an idle machine
    assert done.returncode == 0
    for flag in ("--assign", "--window_size", "--confidence", "--features", "--cog"):
        assert flag in done.stdout


def test_two_rasters_give_two_maps_and_one_line(run: Path, scenes: Path, tmp_path: Path) -> None:
    done = full_prediction(
        run, scenes / "a.tif", scenes / "sub" / "b.tif", "--output_folder", tmp_path / "maps",
        "--confidence", "--cog",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "2 cluster maps\n"), done.stderr
    for name in ("a", "b"):
        for kind in ("clusters", "confidence"):
            with rasterio.open(tmp_path / "maps" / f"{name}_{kind}.tif") as made:
                assert made.shape == (40, 50)


def test_a_folder_is_gone_on_with(run: Path, scenes: Path, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    done = full_prediction(run, scenes / "sub", "--output_folder", maps / "sub")
    assert done.stdout == f"{maps / 'sub' / 'b_clusters.tif'}\n", done.stderr
    done = full_prediction(run, scenes, "--output_folder", maps, "--skip_existing")
    assert done.stdout == f"{maps / 'a_clusters.tif'}, 1 existing skipped\n", done.stderr
    assert (maps / "sub" / "b_clusters.tif").is_file()


def test_an_existing_map_is_refused_before_any_work(
    run: Path, scenes: Path, tmp_path: Path
) -> None:
    maps = tmp_path / "maps" / "sub"
    maps.mkdir(parents=True)
    (maps / "b_clusters.tif").write_text("mine")
    done = full_prediction(run, scenes, "--output_folder", tmp_path / "maps")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {maps / 'b_clusters.tif'}: exists already")
    assert [path.name for path in (tmp_path / "maps").rglob("*.*")] == ["b_clusters.tif"]


def test_a_folder_that_is_no_run_is_refused(scenes: Path, tmp_path: Path) -> None:
    done = full_prediction(scenes, scenes, "--output_folder", tmp_path / "maps")
    assert_refused(done, f"{scenes / 'settings.yaml'}: missing", tmp_path / "maps")


def test_a_raster_of_other_bands_is_refused(
    run: Path, write_raster: WriteRaster, tmp_path: Path
) -> None:
    path = write_raster("four.tif", np.ones((20, 20, 4), np.uint8))
    done = full_prediction(run, path, "--output_folder", tmp_path / "maps")
    words = "four.tif: expected 3 band(s) of uint8 as in the run"
    assert_refused(done, words, tmp_path / "maps")


def test_an_output_folder_that_cannot_be_made_is_refused(
    run: Path, scenes: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = full_prediction(run, scenes, "--output_folder", tmp_path / "file" / "maps")
    assert_refused(done, "cannot be written (Not a directory)", tmp_path / "file" / "maps")
