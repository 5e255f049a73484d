"""A few labels for a synthetic scene, as a person in a hurry would draw them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely
from scipy import ndimage

from clusternet.raster import RasterProfile
from clusternet.raster.shapes import write_polygons
from clusternet.types import AnyArray

_MARGIN = 3  # pixels kept between a polygon and the edge of its class
_LARGEST = 7  # half the side of the largest polygon, in pixels


def write_label_polygons(
    path: Path,
    truth: AnyArray,
    grid: RasterProfile,
    class_names: tuple[str, ...],
    *,
    per_class: int = 4,
    seed: int = 1,
) -> None:
    """Write a GeoPackage of small polygons inside each class, with the name in field ``class``.

    Args:
        path: the GeoPackage.
        truth: (rows, cols) class values; others are unlabelled.
        grid: where the truth lies.
        class_names: the name of each class value.
        per_class: polygons of each class, where it has the room.
        seed: fixes where they lie.
    """
    rng = np.random.default_rng(seed)
    shapes, names = [], []
    for value, name in enumerate(class_names):
        room = ndimage.distance_transform_edt(truth == value)
        for _ in range(per_class):
            row, col, half = _place(room, rng)
            if half < 1:
                break
            shapes.append(_quadrangle(row, col, half, grid, rng))
            names.append(name)
            around = slice(max(row - 60, 0), row + 60), slice(max(col - 60, 0), col + 60)
            room[around] = 0  # the next one lies elsewhere
    crs = None if grid.crs is None else grid.crs.to_string()
    write_polygons(path, "labels", np.array(shapes), {"class": names}, crs, tag="labels",
                   append=False)  # fmt: skip


def _place(room: AnyArray, rng: np.random.Generator) -> tuple[int, int, int]:
    """Choose a pixel with much room around it; return it and half the side of a polygon."""
    wide = room >= max(min(room.max() * 0.6, _LARGEST), 1)
    if not wide.any():
        return 0, 0, 0
    row, col = (int(place) for place in rng.choice(np.argwhere(wide)))
    return row, col, int(min((room[row, col] - _MARGIN) / np.sqrt(2), _LARGEST))


def _quadrangle(
    row: int, col: int, half: int, grid: RasterProfile, rng: np.random.Generator
) -> shapely.Polygon:
    corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)], float)
    corners *= rng.uniform(0.7, 1.0, corners.shape)  # nobody draws a square by hand
    return shapely.Polygon([grid.transform @ (col + x + 0.5, row + y + 0.5) for x, y in corners])
