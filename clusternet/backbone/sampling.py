"""The features of all levels at chosen pixels, to which the reduction is fitted."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from clusternet.backbone.geometry import Geometry, Level
from clusternet.backbone.placing import fixed_windows
from clusternet.network.backend import keras
from clusternet.types import AnyArray, FloatArray, IntArray
from clusternet.windows import Window


def sample_levels(
    network: Any,
    geometry: Geometry,
    rgb: FloatArray,
    window: Window,
    rows: IntArray,
    cols: IntArray,
) -> FloatArray:
    """Return the features of all levels at pixels of an image, not reduced.

    Args:
        network: maps RGB to a list of feature maps.
        geometry: of the network.
        rgb: (rows, cols, 3) of ``window``.
        window: that holds what the pixels need, see `clusternet.backbone.placing.patch_window`.
        rows: (samples,) rows of the pixels, in the coordinates of the window.
        cols: (samples,) their columns.

    Returns:
        (samples, depth) float32.
    """
    if geometry.window is None:
        maps = _run(network, rgb)
        return values_at(maps, geometry, rows - window.row, cols - window.col)
    found = np.zeros((len(rows), geometry.depth), np.float32)
    area = Window(int(rows.min(initial=0)), int(cols.min(initial=0)), 1, 1)
    area = Window(
        area.row, area.col, int(rows.max(initial=0)) - area.row + 1,
        int(cols.max(initial=0)) - area.col + 1,
    )  # fmt: skip
    for tile in itertools.product(*fixed_windows(area, geometry.window)):
        # where two overlap, either shows what features there are: the later one wins
        inside = np.flatnonzero(_lies_in(rows, tile[0]) & _lies_in(cols, tile[1]))
        if len(inside):
            part = rgb[tile[0].start - window.row :, tile[1].start - window.col :]
            maps = _run(network, part[: len(tile[0]), : len(tile[1])])
            found[inside] = values_at(
                maps, geometry, rows[inside] - tile[0].start, cols[inside] - tile[1].start
            )
    return found


def _lies_in(places: IntArray, side: range) -> AnyArray:
    return (places >= side.start) & (places < side.stop)


def _run(network: Any, rgb: FloatArray) -> list[FloatArray]:
    maps = keras.tree.flatten(network(keras.ops.convert_to_tensor(rgb[None]), training=False))
    return [np.asarray(keras.ops.convert_to_numpy(one), np.float32)[0] for one in maps]


def values_at(
    maps: list[AnyArray], geometry: Geometry, rows: AnyArray, cols: AnyArray
) -> FloatArray:
    """Return the features of all levels at pixels, as upsampling gives them.

    Args:
        maps: (rows', cols', depth) of each level of an image.
        geometry: of the network.
        rows: (samples,) rows of the pixels in the image.
        cols: (samples,) their columns.

    Returns:
        (samples, depth of all levels) float32.
    """
    return np.concatenate(
        [
            _bilinear(one, *(_places(places, level) for places in (rows, cols)))
            for one, level in zip(maps, geometry.levels, strict=True)
        ],
        axis=1,
    )


def _places(pixels: AnyArray, level: Level) -> AnyArray:
    return (pixels - level.lost // 2 + 0.5) / level.stride - 0.5


def _bilinear(one: AnyArray, rows: AnyArray, cols: AnyArray) -> FloatArray:
    """Interpolate a map (rows', cols', depth) at fractional places (samples,)."""
    sides = []
    for places, size in ((rows, one.shape[0]), (cols, one.shape[1])):
        inside = np.clip(places, 0, size - 1)
        low = np.minimum(np.floor(inside).astype(int), max(size - 2, 0))
        part = (inside - low).astype(np.float32)
        sides.append([(low, 1 - part), (np.minimum(low + 1, size - 1), part)])
    total = np.zeros((len(rows), one.shape[2]), np.float32)
    for (row, down), (col, across) in itertools.product(*sides):
        total += one[row, col] * (down * across)[:, None]
    return total
