"""A few label polygons for a synthetic scene, like polygons drawn by hand."""

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
        truth: (rows, cols) class values; other values are unlabelled.
        grid: the grid of the truth.
        class_names: the name of each class value.
        per_class: polygons of each class; fewer if it is too small.
        seed: fixes their positions.
    """
    rng = np.random.default_rng(seed)
    shapes, names = [], []
    for value, name in enumerate(class_names):
        room = ndimage.distance_transform_edt(truth == value)
        for _ in range(per_class):
            row, col, half = _choose_centre(room, rng)
            if half < 1:
                break
            shapes.append(_quadrangle(row, col, half, grid, rng))
            names.append(name)
            around = slice(max(row - 60, 0), row + 60), slice(max(col - 60, 0), col + 60)
            room[around] = 0  # keeps the next polygon of the class away
    crs = None if grid.crs is None else grid.crs.to_string()
    write_polygons(path, "labels", np.array(shapes), {"class": names}, crs, tag="labels",
                   append=False)  # fmt: skip


def _choose_centre(room: AnyArray, rng: np.random.Generator) -> tuple[int, int, int]:
    """Choose the centre of a polygon among the pixels far from the edge of their class.

    Returns:
        row, column and half the side of the polygon; 0 for all if the class is too small.
    """
    wide = room >= max(min(room.max() * 0.6, _LARGEST), 1)
    if not wide.any():
        return 0, 0, 0
    row, col = (int(index) for index in rng.choice(np.argwhere(wide)))
    return row, col, int(min((room[row, col] - _MARGIN) / np.sqrt(2), _LARGEST))


def _quadrangle(
    row: int, col: int, half: int, grid: RasterProfile, rng: np.random.Generator
) -> shapely.Polygon:
    corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)], float)
    corners *= rng.uniform(0.7, 1.0, corners.shape)  # polygons drawn by hand are not square
    return shapely.Polygon([grid.transform @ (col + x + 0.5, row + y + 0.5) for x, y in corners])
