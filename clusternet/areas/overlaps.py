"""Which pixels of a map lie on an earlier map, so that each place counts once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from clusternet.raster import RasterProfile
from clusternet.types import AnyArray, BoolArray, IntArray
from clusternet.windows import Window

ReadClasses = Callable[[Window], IntArray]
"""Returns the classes of a window of a map, (rows, cols), negative where there is no data."""
_MOST_READ = 2**23  # pixels of the other map at once: it may have much finer pixels


def earlier_maps(profiles: Sequence[RasterProfile], index: int) -> list[int]:
    """Return which maps before the one at ``index`` may share ground with it.

    Maps without georeference lie on no common ground.
    """
    mine = profiles[index]
    return [
        other
        for other, each in enumerate(profiles[:index])
        if mine.is_georeferenced and each.is_georeferenced and _boxes_meet(mine, each)
    ]


def on_another(
    profile: RasterProfile, window: Window, other: RasterProfile, read: ReadClasses
) -> BoolArray:
    """Tell which pixels of a map have their centre on a pixel with data of another map.

    Args:
        profile: of the map.
        window: some of its pixels.
        other: profile of the other map, in the same CRS.
        read: reads the other map.

    Returns:
        (rows, cols) of the window.
    """
    rows, cols = _places(profile, window, other)
    inside = (rows >= 0) & (rows < other.shape[0]) & (cols >= 0) & (cols < other.shape[1])
    found = np.zeros(window.shape, bool)
    if not inside.any():
        return found
    onto = _around(rows[inside], cols[inside])
    if onto.height * onto.width > _MOST_READ and len(found) > 1:
        half = len(found) // 2
        top = Window(window.row, window.col, half, window.width)
        rest = Window(window.row + half, window.col, window.height - half, window.width)
        parts = [on_another(profile, part, other, read) for part in (top, rest)]
        return np.concatenate(parts)
    values = read(onto)
    found[inside] = values[rows[inside] - onto.row, cols[inside] - onto.col] >= 0
    return found


def _places(profile: RasterProfile, window: Window, other: RasterProfile) -> tuple[AnyArray, ...]:
    """Return row and column in another map of the centre of each pixel; (rows, cols) both."""
    onto = ~other.transform @ profile.transform
    row, col = np.meshgrid(
        window.row + np.arange(window.height) + 0.5, window.col + np.arange(window.width) + 0.5,
        indexing="ij",
    )  # fmt: skip
    cols = onto.a * col + onto.b * row + onto.c
    rows = onto.d * col + onto.e * row + onto.f
    return np.floor(rows).astype(np.int64), np.floor(cols).astype(np.int64)


def _around(rows: AnyArray, cols: AnyArray) -> Window:
    top, left = int(rows.min()), int(cols.min())
    return Window(top, left, int(rows.max()) - top + 1, int(cols.max()) - left + 1)


def _boxes_meet(one: RasterProfile, other: RasterProfile) -> bool:
    """Tell whether the boxes around two maps, in the coordinates of their CRS, share an area."""
    (low, high), (other_low, other_high) = _box(one), _box(other)
    return bool((np.maximum(low, other_low) < np.minimum(high, other_high)).all())


def _box(profile: RasterProfile) -> tuple[AnyArray, AnyArray]:
    rows, cols = profile.shape
    corners = [
        profile.transform @ corner for corner in ((0, 0), (cols, 0), (0, rows), (cols, rows))
    ]
    return np.min(corners, axis=0), np.max(corners, axis=0)
