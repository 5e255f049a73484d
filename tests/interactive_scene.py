"""A scene of four colours and a run whose features are the colours: no network is needed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from clusternet.clustering.kmeans import Codebook
from clusternet.patches.bands import Bands
from clusternet.prediction.feature_cache import scene_folder
from clusternet.prediction.filling import prepare_cache
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.settings import TrainingSettings
from clusternet.training.run import load_run, save_description
from clusternet.training.stored_codebook import StoredCodebook, write_codebook
from clusternet.windows import Window

COLOURS = np.array([[60, 140, 60], [190, 170, 120], [40, 60, 160], [210, 210, 215]], np.float32)
SHAPE = (240, 320)


def truth() -> np.ndarray:
    """Return the quarter that each pixel lies in; (240, 320)."""
    rows, cols = SHAPE
    return (np.arange(rows)[:, None] >= rows // 2) * 2 + (np.arange(cols) >= cols // 2)


def make_scene(folder: Path, name: str = "scene.tif", *, georeferenced: bool = True) -> Path:
    """Write the scene: half a metre a pixel, its last ten rows nodata."""
    noise = np.random.default_rng(0).normal(0, 5, (*SHAPE, 3))
    pixels = np.clip(COLOURS[truth()] + noise, 1, 255).astype(np.uint8)
    pixels[-10:] = 0
    place = dict(crs="EPSG:32631", transform=from_origin(448_000, 5_412_000, 0.5, 0.5))
    options = dict(driver="GTiff", count=3, height=SHAPE[0], width=SHAPE[1], dtype="uint8",
                   nodata=0)  # fmt: skip
    path = folder / name
    with (
        quiet_georeferencing(),
        rasterio.open(path, "w", **options, **(place if georeferenced else {})) as dataset,
    ):
        dataset.write(np.moveaxis(pixels, -1, 0))
    return path


def make_run(folder: Path) -> Path:
    """Write a run folder whose network is never opened."""
    run = folder / "run"
    run.mkdir()
    settings = TrainingSettings(num_clusters=4, num_features=3)
    bands = Bands(3, "uint8", None, (100.0,) * 3, (50.0,) * 3, (64, 64))
    save_description(run, settings, bands)
    (run / "model.keras").write_bytes(b"no network")
    codebook = Codebook(COLOURS, np.zeros(3, np.float32), np.eye(3, dtype=np.float32))
    limits = np.array([[0] * 3, [254] * 3], np.float32)
    stored = StoredCodebook(codebook, np.full(4, 100, np.int32), limits)
    write_codebook(run / "codebook.npz", stored, hashlib.sha256(b"no network").hexdigest())
    return run


def fill_cache_with_colours(run: Path, raster: Path, root: Path | None = None) -> None:
    """Store the colours of a raster as its features."""
    cache, _ = prepare_cache(scene_folder(run, raster, root), raster, load_run(run))
    with quiet_georeferencing(), rasterio.open(raster) as dataset:
        pixels = np.moveaxis(dataset.read(), 0, -1).astype(np.float32)
    for number, window in enumerate(cache.windows):
        part = pixels[Window.slices(window)]
        clusters = np.linalg.norm(part[:, :, None] - COLOURS, axis=-1).argmin(axis=-1)
        cache.write(number, part, clusters.astype(np.int32), part.any(axis=-1))
    cache.flush()
