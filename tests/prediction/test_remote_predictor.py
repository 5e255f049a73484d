"""Maps by other processes are those of this one, and few bytes of them travel."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import rasterio
from conftest import WriteRaster, four_textures
from random_run import make_run

from clusternet.errors import RasterError
from clusternet.prediction import maps
from clusternet.prediction.maps import create_map, predict_raster, predict_rasters
from clusternet.prediction.predictor import load
from clusternet.prediction.remote import RemotePredictor
from clusternet.raster import open_raster
from clusternet.training.run import load_run

HOW: dict[str, Any] = {"precision": "float32", "window_size": 64}


class Travelling:
    """An executor that works here some pieces ahead, and sends what would travel through pickle."""

    num_workers = 2

    def __init__(self) -> None:
        self.num_bytes = 0
        self.work_on: list[str] = []
        """The raster of each piece of work that was begun."""

    def map(self, work: Any, items: Any, **how: Any) -> Generator[tuple[int, Any], None, None]:
        under_way: deque[tuple[int, bytes]] = deque()
        for index, item in enumerate(items):
            self.work_on.append(item.raster.stem)
            under_way.append((index, pickle.dumps(work(pickle.loads(pickle.dumps(item))))))
            self.num_bytes += len(under_way[-1][1])
            if len(under_way) == 2 * self.num_workers:
                yield self._first(under_way)
        while under_way:
            yield self._first(under_way)

    def _first(self, under_way: deque[tuple[int, bytes]]) -> tuple[int, Any]:
        index, result = under_way.popleft()
        return index, pickle.loads(result)


def test_two_bytes_a_pixel_of_a_cluster_map_travel(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run")
    pixels = four_textures(150, 170, 3)
    pixels[40:90, 30:60] = 0
    scene, workers = write_raster("scene.tif", pixels, nodata=0), Travelling()

    predict_raster(
        RemotePredictor(load_run(run), workers, **HOW), scene, tmp_path / "far_clusters.tif"
    )
    predict_raster(load(run, **HOW), scene, tmp_path / "near_clusters.tif")

    with (
        rasterio.open(tmp_path / "far_clusters.tif") as far,
        rasterio.open(tmp_path / "near_clusters.tif") as near,
    ):
        assert far.profile == near.profile
        assert (far.read() == near.read()).all()
    assert workers.num_bytes < 2.5 * 150 * 170


def write_three(write_raster: WriteRaster) -> Path:
    for number, shape in enumerate([(70, 130), (64, 64), (150, 90)]):
        path = write_raster(f"scenes/{number}.tif", four_textures(*shape, 3, seed=number), nodata=0)
    return path.parent


def test_workers_go_on_with_the_next_raster_while_one_is_written(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, scenes, workers = make_run(tmp_path / "run"), write_three(write_raster), Travelling()
    begun: dict[str, list[str]] = {}

    def create(path: Path, *given: Any, **options: Any) -> Any:
        begun[path.stem] = workers.work_on.copy()
        return create_map(path, *given, **options)

    predict_rasters(load(run, **HOW), [scenes], tmp_path / "near")
    monkeypatch.setattr(maps, "create_map", create)
    far = RemotePredictor(load_run(run), workers, **HOW)
    predict_rasters(far, [scenes], tmp_path / "far")

    assert set(begun["1_clusters"]) == {"0", "1", "2"} and workers.work_on.count("0") == 6
    assert sorted(path.name for path in (tmp_path / "near").iterdir()) == sorted(
        path.name for path in (tmp_path / "far").iterdir()
    )
    for path in (tmp_path / "near").glob("*.tif"):
        with rasterio.open(path) as near, rasterio.open(tmp_path / "far" / path.name) as other:
            assert (near.read() == other.read()).all() and near.profile == other.profile


@pytest.mark.parametrize("size", [0, 10_000])
def test_rasters_before_a_damaged_one_are_complete(
    size: int, write_raster: WriteRaster, tmp_path: Path
) -> None:
    run, scenes = make_run(tmp_path / "run"), write_three(write_raster)
    damaged = scenes / "1.tif"
    damaged.write_bytes(damaged.read_bytes()[:size])  # of 12 kB of pixels
    predictor = RemotePredictor(load_run(run), Travelling(), **HOW)
    with pytest.raises(RasterError, match=r"1\.tif"):
        predict_rasters(predictor, [scenes], tmp_path / "maps")
    assert [path.name for path in (tmp_path / "maps").glob("*.tif")] == ["0_clusters.tif"]


def test_a_raster_that_changes_while_it_waits_is_told(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    run, scenes = make_run(tmp_path / "run"), write_three(write_raster)
    predictor = RemotePredictor(load_run(run), Travelling(), **HOW)
    first, second, third = sorted(scenes.iterdir())
    with predictor.ahead([first, second, third], None, confidence=False, features=False):
        with open_raster(first, predictor.choice) as raster:
            assert len(list(predictor.windows(raster))) == 6
        write_raster("scenes/1.tif", four_textures(80, 64, 3), nodata=0)
        with (
            open_raster(second, predictor.choice) as raster,
            pytest.raises(RasterError, match=r"1\.tif: has changed since the command began"),
        ):
            list(predictor.windows(raster))
