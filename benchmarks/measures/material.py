"""Synthetic patches, rasters and settings to measure with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image

from clusternet.demo.scene import make_scene
from clusternet.settings import TrainingSettings
from clusternet.yaml_files import read_yaml

ROOT = Path(__file__).resolve().parents[2]


def configuration(name: str, **changes: Any) -> TrainingSettings:
    """Return ``default`` or ``official`` settings for one epoch of all patches."""
    values = {} if name == "default" else read_yaml(ROOT / "configs" / f"{name}.yaml")
    return TrainingSettings.from_mapping(
        values | {"num_epochs": 1, "epoch_megapixels": 0} | changes
    )


def write_patches(folder: Path, count: int, size: int) -> Path:
    """Write RGB patches of a synthetic scene, one folder level below ``folder``."""
    scene = make_scene(1, (max(1024, size),) * 2).pixels
    rng = np.random.default_rng(1)
    (folder / "scene").mkdir(parents=True)
    for number in range(count):
        row, col = rng.integers(0, len(scene) - size + 1, 2)
        patch = Image.fromarray(scene[row : row + size, col : col + size])
        patch.save(folder / "scene" / f"{number:05d}.png")
    return folder


def write_raster(path: Path, side: int) -> Path:
    """Write an RGB raster of ``side`` x ``side`` pixels, block by block."""
    block = make_scene(2, (512, 512)).pixels
    profile = dict(
        driver="GTiff", width=side, height=side, count=3, dtype="uint8", tiled=True,
        blockxsize=512, blockysize=512, compress="deflate", crs="EPSG:32631",
        transform=rasterio.Affine(0.5, 0, 448_000, 0, -0.5, 5_412_000),
    )  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        for _, window in raster.block_windows(1):
            cropped = block[: window.height, : window.width]
            raster.write(np.moveaxis(cropped, -1, 0), window=window)
    return path
