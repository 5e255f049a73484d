"""Strokes: what a person draws, in pixel coordinates of a raster. No files here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray

from clusternet.errors import LabelError
from clusternet.legend.land_classes import LandClass
from clusternet.windows import Shape

Positions = NDArray[np.int64]
# looked at for one stroke; the fit needs no more evidence
_MOST_GRID_POINTS = 200_000  # inside an area
_MOST_DISCS = 4000  # along a line
_MOST_ACROSS = 16  # of a disc


@dataclass(frozen=True)
class Stroke:
    """A line (or a point or an area) with a class."""

    geometry: shapely.Geometry
    """In pixels, x is the column and y the row; (0, 0) is the raster's upper left corner."""
    land_class: int
    """Number of its class."""
    width: float = 3.0
    """Pixels across, of lines and points; areas are taken as they are."""

    @property
    def reach(self) -> float:
        """How far it covers pixels to each side of its geometry."""
        return 0.0 if self.geometry.geom_type.endswith("Polygon") else self.width / 2

    def touches(self, area: shapely.Geometry) -> bool:
        """Tell whether the stroke, as wide as it is, has a part in an area."""
        # many times as quick as with the outline of a long scribble
        return bool(shapely.dwithin(self.geometry, area, self.reach))

    def pixels(self, shape: Shape) -> Positions:
        """Return the pixels under the stroke; (pixels, 2) of row and column, each once.

        Of what is large it is a choice of pixels spread evenly, so that it takes no longer.
        """
        if self.geometry.geom_type.endswith("Polygon"):
            found = _inside(self.geometry, shape)
        else:
            found = _along(self.geometry, self.width)
        on_raster = ((found >= 0) & (found < shape)).all(axis=1)
        return np.unique(found[on_raster], axis=0)


@dataclass(frozen=True)
class Drawing:
    """One state: the classes and the strokes, in the order in which they were drawn."""

    classes: tuple[LandClass, ...] = ()
    strokes: tuple[Stroke, ...] = ()

    def find(self, number: int) -> LandClass:
        """Return a class by its number."""
        for land_class in self.classes:
            if land_class.number == number:
                return land_class
        raise LabelError(f"There is no class {number}; add it first.")


def make_line(points: Sequence[Sequence[float]]) -> shapely.Geometry:
    """Return the geometry of a stroke through (col, row) points, without needless vertices.

    Raises:
        LabelError: if they are no points, as a page that is not ours may send.
    """
    try:
        places = np.asarray(points, float)
    except (TypeError, ValueError):
        places = np.empty(0)
    if places.ndim != 2 or places.shape[1] != 2 or not np.isfinite(places).all():
        raise LabelError("Expected a stroke as a list of points (column, row).")
    rounded = [tuple(round(value, 3) for value in point) for point in points]
    distinct = [point for last, point in zip([None, *rounded], rounded, strict=False)
                if point != last]  # fmt: skip
    if len(distinct) == 1:
        return shapely.Point(distinct[0])
    return shapely.LineString(distinct).simplify(0.25)  # a quarter of a pixel shows nowhere


def erase(strokes: Sequence[Stroke], eraser: Stroke) -> tuple[Stroke, ...]:
    """Cut away what the eraser touches; strokes it covers vanish, cut ones become parts."""
    left: list[Stroke] = []
    rubber = eraser.geometry.buffer(eraser.reach)
    for stroke in strokes:
        if not stroke.touches(rubber):
            left.append(stroke)
            continue
        parts = shapely.get_parts(stroke.geometry.difference(rubber.buffer(stroke.reach)))
        left += [replace(stroke, geometry=part) for part in parts if not part.is_empty]
    return tuple(left)


def sample_pixels(
    strokes: Sequence[Stroke],
    shape: Shape,
    per_stroke: int,
    in_all: int | None = None,
    seed: int = 1,
) -> tuple[Positions, NDArray[np.int32]]:
    """Return pixels under strokes with their class; where strokes cross, the later one counts.

    Args:
        strokes: in the order in which they were drawn.
        shape: (rows, cols) of the raster.
        per_stroke: pixels taken of one stroke at most, so that a long one outweighs no other.
        in_all: pixels taken of all strokes, as many of each, at most; None for no such bound.
        seed: fixes the choice.

    Returns:
        (samples, 2) row and column, and (samples,) class.
    """
    positions: list[Positions] = [np.empty((0, 2), np.int64)]
    classes: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    share = per_stroke if in_all is None else max(1, in_all // max(1, len(strokes)))
    for stroke in strokes:
        found = _thinned(_sample(stroke, shape, per_stroke, seed), share)
        positions.append(found)
        classes.append(np.full(len(found), stroke.land_class, np.int32))
    every, numbers = np.concatenate(positions), np.concatenate(classes)
    keys = every[:, 0] * shape[1] + every[:, 1]
    last = len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
    last.sort()
    return every[last], numbers[last]


def _thinned(positions: Positions, most: int) -> Positions:
    """Return at most so many positions, evenly spread."""
    if len(positions) <= most:
        return positions
    return positions[np.linspace(0, len(positions) - 1, most).astype(np.int64)]


@lru_cache(maxsize=2000)  # every update asks again for all strokes, of which one is new
def _sample(stroke: Stroke, shape: Shape, most: int, seed: int) -> Positions:
    found = stroke.pixels(shape)
    if len(found) <= most:
        return found
    # each stroke has its own generator: adding one leaves the others' pixels as they were
    rng = np.random.default_rng((seed, len(found)))
    return np.asarray(found[np.sort(rng.choice(len(found), most, replace=False))])


def _along(geometry: shapely.Geometry, width: float) -> Positions:
    """Return the pixels of discs set close together along a line; perhaps several times."""
    step = max(0.5, width / 4, geometry.length / _MOST_DISCS)
    centres = []
    for part in shapely.get_parts(geometry):
        corners = shapely.get_coordinates(part)
        along = np.append(0, np.hypot(*np.diff(corners, axis=0).T).cumsum())
        distances = np.append(np.arange(0, along[-1], step), along[-1])
        centres.append(np.stack([np.interp(distances, along, axis) for axis in corners.T], axis=1))
    xy = np.concatenate(centres) if centres else np.empty((0, 2))
    radius, every = width / 2, max(1, int(width // _MOST_ACROSS))
    half = int(np.ceil(radius))
    reach = np.arange(-half, half + 1)[half % every :: every]  # the centre is one of them
    rows, cols = np.meshgrid(reach, reach, indexing="ij")
    near = np.stack([rows.ravel(), cols.ravel()], axis=1)
    pixel = np.floor(xy[:, ::-1]).astype(np.int64)  # (row, col) under each centre
    spots = pixel[:, None] + near
    away = np.linalg.norm(spots + 0.5 - xy[:, None, ::-1], axis=-1)
    covered = (away <= radius) | ~near.any(axis=1)  # however thin, the pixel under the centre
    return np.asarray(spots[covered])


def _inside(area: shapely.Geometry, shape: Shape) -> Positions:
    """Return the pixels whose centres lie in an area, or a grid of them if there are many."""
    left, top, right, bottom = (int(v) for v in np.floor(area.bounds))
    left, top = max(left, 0), max(top, 0)
    right, bottom = max(min(right, shape[1] - 1), left), max(min(bottom, shape[0] - 1), top)
    step = max(1, int(np.ceil(np.sqrt((right - left + 1) * (bottom - top + 1)
                                      / _MOST_GRID_POINTS))))  # fmt: skip
    rows, cols = np.meshgrid(
        np.arange(top, bottom + 1, step), np.arange(left, right + 1, step), indexing="ij"
    )
    shapely.prepare(area)
    inside = shapely.contains_xy(area, cols.ravel() + 0.5, rows.ravel() + 0.5)
    return np.asarray(np.stack([rows.ravel(), cols.ravel()], axis=1)[inside], np.int64)
