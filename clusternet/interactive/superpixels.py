"""Superpixels of the part of a raster that is shown: pieces of about one colour, by SLIC."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from clusternet.errors import LabelError
from clusternet.raster.outlines import outline_of
from clusternet.types import AnyArray, BoolArray, IntArray, UInt8Array
from clusternet.windows import Shape, Window

MOST_PIXELS = 500_000
"""Pixels that are segmented; larger views are taken at a coarser step. SLIC takes 1 s for them."""
_SIDE = 24  # of a superpixel, in segmented pixels
_KEPT = 8  # views
_MOST_POSITIONS = 200_000  # along a line: 100 times across a screen
_ROUNDS = 5  # of SLIC; more hardly move the borders


@dataclass(frozen=True)
class View:
    """A part of a scene, and how many of its pixels make one that is segmented."""

    window: Window
    step: int

    @classmethod
    def shown(cls, window: Window, step: int, shape: Shape) -> View:
        """Return the view to segment for a part of the scene that is shown.

        Raises:
            LabelError: if it does not lie on the scene; the server also gets other requests.
        """
        if step < 1 or window.row < 0 or window.col < 0:
            raise LabelError("Expected a part of the scene.")
        inside = window.inside(shape)
        if not (inside.height and inside.width):
            raise LabelError("Expected a part of the scene.")
        while inside.height * inside.width > MOST_PIXELS * step**2:
            step *= 2
        # rows and columns at the end that do not fill a step are not read
        rows, cols = (size // step * step for size in inside.shape)
        if not (rows and cols):
            raise LabelError("Expected a part of the scene.")
        return cls(Window(inside.row, inside.col, rows, cols), step)


Reader = Callable[[Window, int], tuple[UInt8Array, BoolArray]]
"""Returns the colours (rows, cols, 3) and valid pixels (rows, cols) of every step-th pixel."""


class Superpixels:
    """Superpixels of the last views; safe to use from any thread."""

    def __init__(self) -> None:
        """Start with none."""
        self._kept: OrderedDict[tuple[View, object], IntArray] = OrderedDict()
        self._lock = threading.Lock()

    def labels(self, view: View, look: object, read: Reader) -> IntArray:
        """Return the superpixel that each pixel of a view lies in, 0 without data.

        Args:
            view: what to segment.
            look: which bands are shown and how; part of the key under which labels are kept.
            read: returns the colours.
        """
        with self._lock:  # one at a time: a page asks for the picture and for a click at once
            key = view, look
            if key not in self._kept:
                self._kept[key] = segment(*read(view.window, view.step))
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


def segment(colours: UInt8Array, valid: BoolArray) -> IntArray:
    """Return the superpixel of each pixel, from 1, and 0 without data.

    By SLIC (Achanta and others 2012) in the CIELAB colour space.

    Args:
        colours: (rows, cols, 3).
        valid: (rows, cols).
    """
    from skimage.segmentation import slic  # here, because it takes a moment to load

    if not valid.any():
        return np.zeros(valid.shape, np.int32)
    count = max(1, round(int(valid.sum()) / _SIDE**2))
    labels = slic(
        colours, count, compactness=10, max_num_iter=_ROUNDS, start_label=1,
        mask=None if valid.all() else valid, channel_axis=-1,
    )  # fmt: skip
    return np.asarray(np.where(valid, labels, 0), np.int32)


def flood(view: View, labels: IntArray, points: Sequence[Sequence[float]]) -> shapely.Geometry:
    """Return the area of the superpixels under a line.

    Args:
        view: that was segmented.
        labels: its superpixels.
        points: (col, row) of the scene.

    Raises:
        LabelError: if there is no superpixel below.
    """
    window, step = view.window, view.step
    positions = _on_the_way(np.asarray(points, float), step)
    rows = np.floor((positions[:, 1] - window.row) / step).astype(np.int64)
    cols = np.floor((positions[:, 0] - window.col) / step).astype(np.int64)
    inside = (rows >= 0) & (cols >= 0) & (rows < labels.shape[0]) & (cols < labels.shape[1])
    wanted = np.setdiff1d(labels[rows[inside], cols[inside]], 0)
    if not len(wanted):
        raise LabelError("There is no superpixel; click inside the scene, where it has data.")
    area = outline_of(np.isin(labels, wanted))
    placed = shapely.transform(area, lambda xy: xy * step + (window.col, window.row))
    parts = shapely.get_parts(placed)
    return parts[0] if len(parts) == 1 else placed


def _on_the_way(points: AnyArray, step: int) -> AnyArray:
    """Return positions along a line, half a step apart, or more along one of excessive length."""
    if len(points) < 2:
        return points
    line = shapely.LineString(points)
    apart = max(step / 2, line.length / _MOST_POSITIONS)
    along = np.arange(0, line.length + apart, apart)
    return np.asarray(shapely.get_coordinates(shapely.line_interpolate_point(line, along)))


def outlines(labels: IntArray) -> UInt8Array:
    """Return the borders of superpixels as red, green, blue and alpha (4, rows, cols)."""
    border = np.zeros(labels.shape, np.bool_)
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    border[1:] |= labels[1:] != labels[:-1]
    picture = np.zeros((4, *labels.shape), np.uint8)
    picture[:3], picture[3] = 255, np.where(border, 150, 0)
    return picture
