"""Synthetic scenes of any size with a few polygons, made of one block in eight positions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clusternet.demo.scene.labels import write_label_polygons
from clusternet.demo.scene.making import CLASS_NAMES, Scene, make_scene
from clusternet.raster import MapForm, create_map, make_profile
from clusternet.types import AnyArray
from clusternet.windows import blocks

_PIXEL = 0.5  # metres
_LABELLED = 4  # rasters of a folder, or blocks of a scene
_EPSG, _EAST, _NORTH = 32631, 448_000.0, 5_412_000.0


@dataclass(frozen=True)
class Material:
    """Rasters and polygons on disk."""

    images: Path
    labels: Path
    megapixels: float


def write_material(folder: Path, side: int, count: int, block: int) -> Material:
    """Write ``count`` rasters of ``side`` x ``side`` pixels, and polygons on the first ones.

    Args:
        folder: gets ``images`` and ``labels``.
        side: rows and columns of each raster.
        count: rasters.
        block: side of the scene that all is made of.
    """
    material = Material(folder / "images", folder / "labels", count * side * side / 1e6)
    if material.labels.is_dir():  # of an earlier call: written last
        return material
    scene = make_scene(1, (block, block))
    material.images.mkdir(parents=True, exist_ok=True)
    labels = folder / "labels_hidden"
    labels.mkdir(exist_ok=True)
    for number in range(count):
        origin = (_EAST + number % 20 * (side + 40) * _PIXEL,
                  _NORTH - number // 20 * (side + 40) * _PIXEL)  # fmt: skip
        path = material.images / f"scene{number:03d}.tif"
        grid = make_profile(path, (side, side), epsg=_EPSG, origin=origin, pixel_size=_PIXEL)
        truth = np.zeros((min(side, 2 * block),) * 2, np.uint8)
        with create_map(path, grid, MapForm(num_bands=3, nodata=0), overwrite=True) as image:
            for index, window in enumerate(blocks(grid.shape, (block, block))):
                pixels, classes = _turned(scene, number + index, window.shape)
                image.write(window, pixels)
                inside = truth[window.slices()]
                inside[:] = classes[: inside.shape[0], : inside.shape[1]]
        if number < _LABELLED:
            write_label_polygons(
                labels / f"{path.stem}.gpkg", truth, grid, CLASS_NAMES,
                per_class=_LABELLED * 4 if count == 1 and side > block else 4,
            )  # fmt: skip
    labels.rename(material.labels)
    return material


def _turned(scene: Scene, number: int, shape: tuple[int, int]) -> tuple[AnyArray, AnyArray]:
    """Return pixels and truth of the block in one of eight positions."""
    found = []
    for values in (scene.pixels, scene.truth):
        mirrored = values[::-1] if number // 4 % 2 else values
        found.append(np.rot90(mirrored, number % 4)[: shape[0], : shape[1]])
    return np.ascontiguousarray(found[0]), np.ascontiguousarray(found[1])
