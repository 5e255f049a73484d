"""Maps by other processes are those of this one, and few bytes of them travel."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rasterio
from conftest import WriteRaster, four_textures
from random_run import make_run

from clusternet.prediction.maps import predict_raster
from clusternet.prediction.predictor import load
from clusternet.prediction.remote import RemotePredictor
from clusternet.training.run import load_run


class Travelling:
    """An executor that works here, and sends what would travel through pickle."""

    num_workers = 1

    def __init__(self) -> None:
        self.num_bytes = 0

    def map(self, work: Any, items: Any, **how: Any) -> Iterator[tuple[int, Any]]:
        for index, item in enumerate(items):
            result = pickle.dumps(work(pickle.loads(pickle.dumps(item))))
            self.num_bytes += len(result)
            yield index, pickle.loads(result)


def test_two_bytes_a_pixel_of_a_cluster_map_travel(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run")
    pixels = four_textures(150, 170, 3)
    pixels[40:90, 30:60] = 0
    scene, workers = write_raster("scene.tif", pixels, nodata=0), Travelling()
    how: dict[str, Any] = {"precision": "float32", "window_size": 64}

    predict_raster(
        RemotePredictor(load_run(run), workers, **how), scene, tmp_path / "far_clusters.tif"
    )
    predict_raster(load(run, **how), scene, tmp_path / "near_clusters.tif")

    with (
        rasterio.open(tmp_path / "far_clusters.tif") as far,
        rasterio.open(tmp_path / "near_clusters.tif") as near,
    ):
        assert far.profile == near.profile
        assert (far.read() == near.read()).all()
    assert workers.num_bytes < 2.5 * 150 * 170
