"""Tiny inputs of all kinds that commands read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from faults.calls import call

TRAINING = (
    "--num_clusters", "4", "--base_filters", "2", "--num_features", "6", "--train_batch_size", "2",
    "--samples_per_centroid", "40", "--kmeans_iterations", "4", "--workers", "1", "--precision",
    "float32",
)  # fmt: skip
"""A network that trains an epoch of these patches in half a second."""


def make_material(folder: Path, *, runs: bool = True) -> Path:
    """Write images, labels, shapes, patches; and two trained runs with their maps and classes.

    Args:
        folder: to fill.
        runs: train, which takes the network library.
    """
    for number, name in enumerate(("east", "west")):
        write_image(folder / "images" / f"{name}.tif", number)
        _write(folder / "labels" / f"{name}.tif", _blocks(number)[None].astype(np.uint8) % 3)
    _write_shapes(folder / "shapes.gpkg")
    _write_shapes(folder / "shapes.geojson")
    _run("patch_generator", folder / "images", "--output_folder", folder / "patches",
         "--patch_shape", "32", "32", "--stride", "32", "32", "--workers", "1")  # fmt: skip
    first = next((folder / "patches" / "east").iterdir())
    (folder / "few" / "east").mkdir(parents=True)
    shutil.copy2(first, folder / "few" / "east")
    if runs:
        for seed in (1, 2):
            run, maps = folder / f"run{seed}", folder / f"maps{seed}"
            _run("main", folder / "patches", "--output", run, "--num_epochs", "1",
                 "--seed", seed, *TRAINING)  # fmt: skip
            _run("full_prediction", run, folder / "images", "--output_folder", maps)
            _run("clusters2classes", maps, folder / "labels",
                 "--output_folder", folder / f"classes{seed}")  # fmt: skip
    return folder


def _run(name: str, *words: object) -> None:
    ended = call(name, *words)
    if ended.status:
        raise RuntimeError(f"{name}: {ended.err}")


def write_image(path: Path, seed: int) -> Path:
    """Write an image of 64 x 64 pixels, three bands: blocks of four textures."""
    rng = np.random.default_rng(seed)
    colours = np.array([[60, 120, 60], [180, 160, 120], [40, 60, 140], [200, 200, 210]])
    blocks = _blocks(seed)
    pixels = colours[blocks] + rng.normal(size=(*blocks.shape, 1)) * 12
    return _write(path, np.moveaxis(pixels.clip(1, 255).astype(np.uint8), -1, 0))


def _blocks(seed: int) -> np.ndarray:
    few = np.random.default_rng(seed + 10).integers(0, 4, (4, 4))
    return few.repeat(16, axis=0).repeat(16, axis=1)


def _write(path: Path, bands: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    west = 448_000 if "east" not in path.stem else 448_032
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2],
        dtype="uint8", crs="EPSG:32631", transform=from_origin(west, 5_412_000, 0.5, 0.5),
    ) as dataset:  # fmt: skip
        dataset.write(bands)
    return path


def _write_shapes(path: Path) -> None:
    import geopandas
    import shapely

    boxes = [shapely.box(448_000 + x, 5_411_980, 448_018 + x, 5_412_000) for x in (0, 20, 44)]
    kinds = {"class": [0, 1, 2]}
    geopandas.GeoDataFrame(kinds, geometry=boxes, crs=32631).to_file(path)
