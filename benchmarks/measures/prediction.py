"""Whole-raster maps: megapixels a second and peak memory."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from measures.isolation import CORES, Figures
from measures.material import configuration, write_patches, write_raster


def make_run(folder: Path, size: int, base_filters: int, num_clusters: int) -> Path:
    """Train for one short epoch: what the network has learned does not matter to its speed."""
    from clusternet.training.train import train

    with tempfile.TemporaryDirectory() as patches:
        settings = configuration("default", base_filters=base_filters, num_clusters=num_clusters)
        return train(write_patches(Path(patches), 4, size), folder, settings)


def train_run(folder: Path, size: int, base_filters: int, num_clusters: int) -> Figures:
    """Make a run in a process of its own."""
    make_run(folder, size, base_filters, num_clusters)
    return {}


def measure_prediction(run: Path, side: int, precision: str) -> Figures:
    """Predict a raster of ``side`` x ``side`` pixels, from the file to the map's file."""
    from clusternet.prediction.maps import predict_raster
    from clusternet.prediction.predictor import load

    with tempfile.TemporaryDirectory() as folder:
        raster = write_raster(Path(folder) / "raster.tif", side)
        predictor = load(run, precision=precision)
        wall, busy = time.perf_counter(), time.process_time()
        predict_raster(predictor, raster, Path(folder) / "raster_clusters.tif")
        wall, busy = time.perf_counter() - wall, (time.process_time() - busy) / CORES
    return {
        "side": side,
        "megapixels_per_second": side * side / wall / 1e6,
        "busy_seconds_per_megapixel": busy / side / side * 1e6,
    }
