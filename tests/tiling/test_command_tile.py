"""tools/patch_generator.py as a user types it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, WriteRaster

SCRIPT = ROOT / "tools" / "patch_generator.py"


def patch_generator(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def noise(rows: int, cols: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, cols, 3), dtype=np.uint8)


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def scene(write_raster: WriteRaster) -> Path:
    return write_raster("in/scene.tif", noise(40, 50))


def assert_refused(
    done: subprocess.CompletedProcess[str], tmp_path: Path, *words: str, left: list[str]
) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    for word in words:
        assert word in done.stderr
    assert everything(tmp_path) == left


def test_help_answers_at_once():
    started = time.perf_counter()
    done = patch_generator("--help")
    assert time.perf_counter() - started < 2  # half a second on an idle machine
    assert done.returncode == 0
    for flag in ("--output_folder", "--masks_folder", "--crop_shape", "--keep_dark_region_ratio"):
        assert flag in done.stdout


def test_help_loads_no_heavy_library():
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['patch_generator.py', '--help']\n"
        f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(sorted({'tensorflow', 'keras', 'rasterio', 'faiss', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_folder_is_tiled_and_one_line_says_what_came_of_it(scene, tmp_path):
    done = patch_generator(
        tmp_path / "in", "--output_folder", tmp_path / "out", "--patch_shape", 16, 16,
        "--stride", 16, 16, "--edge", "drop",
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout == (
        f"{tmp_path / 'out'}: 1 raster(s): 6 patches written, 6 skipped (6 past the edge)\n"
    )
    assert (tmp_path / "out" / "scene" / "00016_00032.png").is_file()


def test_settings_may_stand_in_a_file_and_flags_win(scene, tmp_path):
    (tmp_path / "config.yaml").write_text("patch_shape: [8, 8]\nstride: [20, 20]\nnodata: -1\n")
    done = patch_generator(
        scene, "--output_folder", tmp_path / "out", "--config", tmp_path / "config.yaml",
        "--patch_shape", 16, 16, "--nodata=0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    values = json.loads((tmp_path / "out" / "patches.json").read_text())
    assert (values["patch_shape"], values["stride"]) == ([16, 16], [20, 20])
    assert values["rasters"][0]["nodata"] == 0


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--patch_shape", "0", "16"], ["patch_shape", "above 0"]),
        (["--stride", "16", "-16"], ["stride", "above 0"]),
        (["--patch_shape", "16", "16", "--crop_shape", "17", "16"], ["crop_shape", "(16, 16)"]),
        (["--patch_shape", "16"], ["--patch_shape", "expected 2 arguments"]),
        (["--edge", "wrap"], ["--edge", "shift"]),
        (["--keep_dark_region_ratio", "2"], ["keep_dark_region_ratio", "from 0 to 1"]),
        (["--workers", "0"], ["workers", "above 0"]),
        (["--nodata", "300"], ["scene.tif", "300", "uint8"]),
        (["--patch", "16", "16"], ["--patch"]),
    ],
)
def test_a_flag_that_cannot_be_used_is_refused(scene, tmp_path, flags, words):
    done = patch_generator(scene, "--output_folder", tmp_path / "out", *flags)
    assert_refused(done, tmp_path, *words, left=["in", "in/scene.tif"])


def test_a_missing_source_is_refused(tmp_path):
    done = patch_generator(tmp_path / "absent", "--output_folder", tmp_path / "out")
    assert_refused(done, tmp_path, "absent", "no such file or folder", left=[])


def test_a_folder_without_rasters_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    done = patch_generator(tmp_path / "in", "--output_folder", tmp_path / "out")
    assert_refused(done, tmp_path, "no raster found", left=["in"])


def test_a_forgotten_output_folder_is_refused(scene, tmp_path):
    assert_refused(patch_generator(scene), tmp_path, "--output_folder", left=["in", "in/scene.tif"])


def test_an_unknown_key_in_a_settings_file_is_refused(scene, tmp_path):
    (tmp_path / "c.yaml").write_text("patch_shap: [16, 16]\n")
    done = patch_generator(
        scene, "--output_folder", tmp_path / "out", "--config", tmp_path / "c.yaml"
    )
    left = ["c.yaml", "in", "in/scene.tif"]
    assert_refused(done, tmp_path, "c.yaml", "Did you mean patch_shape?", left=left)


@pytest.mark.parametrize("name", ["cut.tif", "cut.png", "cut.jpg"])
def test_a_raster_cut_off_is_named(write_raster, tmp_path, name):
    path = write_raster(f"in/{name}", noise(80, 90))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for patch_shape in (16, 200):
        done = patch_generator(
            tmp_path / "in", "--output_folder", tmp_path / "out", "--patch_shape", patch_shape,
            patch_shape, "--workers", 1,
        )  # fmt: skip
        assert done.stderr.splitlines()[-1].startswith(f"error: {path}")
        assert done.returncode == 2
        assert everything(tmp_path) == ["in", f"in/{name}"]


def test_an_existing_output_is_refused(scene, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    done = patch_generator(scene, "--output_folder", tmp_path / "out")
    left = ["in", "in/scene.tif", "out", "out/mine.txt"]
    assert_refused(done, tmp_path, "exists already", "remove it by hand", left=left)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX")
@pytest.mark.parametrize("bands", [3, 2])
def test_a_disk_that_takes_no_more_is_refused(write_raster, tmp_path, bands):
    path = write_raster("in/a.tif", noise(64, 64)[..., :bands])

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    done = patch_generator(
        path, "--output_folder", tmp_path / "out", "--patch_shape", 64, 64, preexec_fn=limit
    )
    assert_refused(done, tmp_path, "out: cannot be written", left=["in", "in/a.tif"])


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing(write_raster, tmp_path, ending):
    path = write_raster("in/a.tif", noise(700, 700))
    command = [
        sys.executable, str(SCRIPT), str(path), "--output_folder", str(tmp_path / "out"),
        "--patch_shape", "128", "128", "--stride", "4", "4", "--workers", "2",
    ]  # fmt: skip
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob(".part*/a/*.png")) and time.monotonic() < deadline:
            time.sleep(0.02)
        # Ctrl-C reaches every process of the terminal, SIGTERM the parent
        if ending == signal.SIGINT:
            os.killpg(process.pid, ending)
        else:
            process.send_signal(ending)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "interrupted.\n"
    assert everything(tmp_path) == ["in", "in/a.tif"]
