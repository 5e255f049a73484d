"""Which windows a backbone gets: sliding ones with a margin, or fixed ones that overlap."""

from __future__ import annotations

import math

import numpy as np

from clusternet.backbone.geometry import Geometry
from clusternet.types import FloatArray
from clusternet.windows import Shape, Window

_OVERLAP = 4  # a fixed window shares a quarter of its side with the next one
_PATCH_STEPS = 2  # steps around a training patch that are filled with its mirrored pixels


def fixed_windows(area: Window, shape: Shape) -> tuple[list[range], list[range]]:
    """Return the rows and the columns of the fixed windows that lie on an area.

    Args:
        area: of a raster.
        shape: (rows, cols) of a fixed window.
    """
    found = []
    for start, length, size in zip((area.row, area.col), area.shape, shape, strict=True):
        overlap = size // _OVERLAP
        step = size - overlap
        # the first one begins before the raster, so that no pixel of the raster is at its border
        numbers = range(start // step, (start + length - 1 + overlap) // step + 1)
        found.append([range(n * step - overlap, (n + 1) * step) for n in numbers])
    return found[0], found[1]


def sliding_window(area: Window, margin: int, step: int) -> Window:
    """Return an area with a margin, extended to multiples of the step; its shape is fixed."""
    wide = area.grown(margin)
    rows, cols = (math.ceil((size + step - 1) / step) * step for size in wide.shape)
    start = wide.aligned(step)
    return Window(start.row, start.col, rows, cols)


def patch_window(geometry: Geometry, area: Window) -> Window:
    """Return the window that a training patch is extended to, by pixels mirrored at its border."""
    if geometry.window is not None:
        rows, cols = fixed_windows(area, geometry.window)
        return Window(
            rows[0].start, cols[0].start,
            rows[-1].stop - rows[0].start, cols[-1].stop - cols[0].start,
        )  # fmt: skip
    uncovered = max(math.ceil(level.lost / 2 + level.stride) for level in geometry.levels)
    border = max(min(geometry.margin or 0, _PATCH_STEPS * geometry.step), uncovered)
    return sliding_window(area, math.ceil(border / geometry.step) * geometry.step, geometry.step)


def mirrored(pixels: FloatArray, window: Window) -> FloatArray:
    """Extend patches (patches, rows, cols, ...) to a window around them, mirrored at the border."""
    sides = [
        (-start, start + length - size)
        for start, length, size in zip(
            (window.row, window.col), window.shape, pixels.shape[1:3], strict=True
        )
    ]
    return np.pad(pixels, ((0, 0), *sides, *((0, 0),) * (pixels.ndim - 3)), mode="reflect")


def blending_weights(size: int) -> FloatArray:
    """Return the weights along a side of a fixed window; those of all windows sum to 1."""
    overlap = size // _OVERLAP
    ramp = (np.arange(overlap) + 0.5) / max(overlap, 1)
    found = np.ones(size, np.float32)
    found[:overlap] = ramp
    found[size - overlap :] = 1 - ramp
    return found
