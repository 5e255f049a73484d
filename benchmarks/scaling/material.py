"""Scenes, maps and labels for the stages, all of one size."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from measures.isolation import isolated
from measures.material import write_patches, write_raster
from measures.prediction import train_run

from clusternet.types import UInt8Array


@dataclass(frozen=True)
class Material:
    """What the commands work on; the first scenes make a small job, all of them a large one."""

    folder: Path
    side: int
    """Of a scene, in pixels."""

    def scenes(self, count: int) -> Path:
        """Return a folder of so many scenes."""
        return self._copies("scenes", count, lambda path: write_raster(path, self.side))

    def maps(self, count: int) -> Path:
        """Return a folder of cluster maps."""
        return self._copies("maps", count, lambda path: _write(path, self._clusters()))

    def labels(self, count: int) -> Path:
        """Return a folder of labels of these maps."""
        return self._copies("labels", count, lambda path: _write(path, self._clusters() // 4))

    def patches(self, count: int, size: int) -> Path:
        """Return a folder of patches."""
        folder = self.folder / f"patches_{count}_{size}"
        return folder if folder.exists() else write_patches(folder, count, size)

    def run(self, base_filters: int) -> Path:
        """Return a run to predict with; what it has learned does not matter to its speed."""
        folder = self.folder / f"run_{base_filters}"
        if not folder.exists():
            isolated(train_run, folder=folder, size=64, base_filters=base_filters, num_clusters=20)
        return folder

    def _clusters(self) -> UInt8Array:
        coarse = np.random.default_rng(1).integers(0, 20, (16, 16), np.uint8)
        clusters: UInt8Array = np.kron(coarse, np.ones((self.side // 16,) * 2, np.uint8))
        return clusters

    def _copies(self, kind: str, count: int, write: Callable[[Path], object]) -> Path:
        folder = self.folder / f"{kind}_{count}"
        if not folder.exists():
            folder.mkdir(parents=True)
            write(folder / "0000.tif")
            for number in range(1, count):  # links would be taken for one file
                shutil.copy(folder / "0000.tif", folder / f"{number:04d}.tif")
        return folder


def _write(path: Path, values: UInt8Array) -> None:
    profile = dict(
        driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype="uint8",
        tiled=True, blockxsize=256, blockysize=256, compress="deflate", nodata=255,
        crs="EPSG:32631", transform=rasterio.Affine(0.5, 0, 448_000, 0, -0.5, 5_412_000),
    )  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(values, 1)
