"""A disk that takes no more, or nothing at all: one clear line, and no file in its final place."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from conftest import WriteRaster
from pyogrio.errors import DataLayerError
from random_run import make_run

from clusternet.classes.assign import assign_classes
from clusternet.classes.polygons import PolygonOptions, write_class_polygons
from clusternet.errors import OutputError
from clusternet.evaluation.report import evaluate_to_folder
from clusternet.labels.rasterization import rasterize_labels
from clusternet.legend.land_classes import make_classes
from clusternet.prediction.map_outputs import MapOptions
from clusternet.prediction.maps import predict_rasters
from clusternet.prediction.predictor import load
from clusternet.processes.interrupts import Interrupts
from clusternet.raster.writing import MapWriter

SIDE = 300
Job = Callable[[Path], object]


def noise(*shape: int, highest: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, highest, shape, np.uint8, endpoint=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """Many small boxes over a raster of the write_raster fixture; classes 0 to 4."""
    path = tmp_path / "labels.gpkg"
    corners = itertools.product(range(0, SIDE, 3), range(0, SIDE, 3))
    boxes = [shapely.box(448_000 + c / 2, 5_411_999 - r / 2, 448_001 + c / 2, 5_412_000 - r / 2)
             for r, c in corners]  # fmt: skip
    classes = np.random.default_rng(1).integers(0, 5, len(boxes))
    geopandas.GeoDataFrame({"class": classes}, geometry=boxes, crs=32631).to_file(path)
    return path


# what each of them writes does not fit on a disk of so many kilobytes
DISK = {
    "full_prediction": 48, "full_prediction --cog": 48, "clusters2classes": 16, "polygons": 24,
    "evaluation": 32, "rasterization": 8,
}  # fmt: skip


@pytest.fixture(params=DISK)
def job(request: pytest.FixtureRequest, run: Path, write_raster: WriteRaster, shapes: Path) -> Job:
    """One of the commands that write, as ``job(folder to write to)``."""
    scene = write_raster("scene.tif", noise(SIDE, SIDE, 3) * 40)
    clusters = write_raster("a_clusters.tif", noise(SIDE, SIDE, highest=249), nodata=255)
    truth = write_raster("a.tif", noise(SIDE, SIDE), nodata=255)
    small = write_raster("small.tif", noise(60, 60))

    def predict(out: Path) -> object:
        options = MapOptions(confidence=True, features=True, cog="cog" in request.param)
        return predict_rasters(load(run, window_size=128), [scene], out, options)

    return {
        "full_prediction": predict,
        "full_prediction --cog": predict,
        "clusters2classes": lambda out: assign_classes(clusters, shapes, out, unlabelled="unknown"),
        "polygons": lambda out: write_class_polygons(
            out / "p.gpkg", [small], make_classes(range(5)), PolygonOptions()
        ),
        "evaluation": lambda out: evaluate_to_folder(clusters, truth, out / "r", clusters=True),
        "rasterization": lambda out: rasterize_labels(shapes, scene, out / "labels.tif"),
    }[request.param]


def mount(folder: Path, options: str, source: str = "") -> None:
    """Mount a disk in memory, or with ``bind`` another folder or file."""
    kind = ["--bind", source] if source else ["-t", "tmpfs", "-o", options, "tmpfs"]
    command = ["mount", *kind, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip("mounting is not allowed here")


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # errors keep files open


@pytest.fixture
def small_disk(job: Job, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system that holds a part of what a command writes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, f"size={DISK[request.node.callspec.params['job']]}k")
    yield folder
    unmount(folder)


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    mount(folder, "size=32k,ro")  # root may write into any folder that can be written to
    yield folder
    unmount(folder)


def assert_refused(job: Job, folder: Path, words: str) -> None:
    with pytest.raises(OutputError, match=words) as error:
        job(folder)
    assert "\n" not in str(error.value)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux'")
def test_a_full_disk_leaves_no_file_and_ends_in_our_line_alone(
    job: Job, small_disk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """No line of a library before it, and no hidden name in it."""
    name = rf"^{small_disk}(/[a-z]\w+(\.tif)?|/p\.gpkg|/r)"
    assert_refused(job, small_disk, name + r": cannot be written \(No space left on device\)\.$")
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux'")
def test_a_read_only_disk_is_refused(job: Job, read_only_disk: Path) -> None:
    assert_refused(job, read_only_disk, rf"{read_only_disk}.*: cannot be written \(")


def test_a_signal_that_comes_half_way_leaves_no_file(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Every command asks for signals, and so stops, between two of its steps."""
    out = tmp_path / "out"
    calls = itertools.count(1)
    steps = 1 if request.node.callspec.params["job"] in ("evaluation", "rasterization") else 2

    def answer(_self: object) -> None:
        if next(calls) >= steps:
            raise KeyboardInterrupt

    monkeypatch.setattr(Interrupts, "check", answer)
    with pytest.raises(KeyboardInterrupt):
        job(out)
    assert [path.name for path in out.rglob("*") if path.is_file()] == []


def test_a_write_that_fails_half_way_leaves_no_file(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maps fail at their second window or at their end, reports at their second file."""
    out = tmp_path / "out"
    calls = itertools.count(1)

    def limited(write: Callable[..., object]) -> Callable[..., object]:
        def fail_later(*args: object, **options: object) -> object:
            if next(calls) >= 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(*args, **options)

        return fail_later

    def fail(*_args: object, **_options: object) -> None:
        raise DataLayerError(os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pyogrio.write_dataframe", fail)
    monkeypatch.setattr(MapWriter, "write", limited(MapWriter.write))
    monkeypatch.setattr("clusternet.raster.writing._check_complete", limited(lambda *_: None))
    monkeypatch.setattr("clusternet.evaluation.report._write_csv", limited(lambda *_: None))
    assert_refused(job, out, r"cannot be written \((GDAL: )?No space left on device")
