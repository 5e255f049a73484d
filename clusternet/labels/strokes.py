"""Strokes that a person draws on a raster, in pixel coordinates; `stroke_files` stores them."""

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
# Samples that one stroke gives at most: more would cost time and not change the classifier.
_MOST_GRID_POINTS = 200_000  # inside an area
_MOST_DISCS = 4000  # along a line
_MOST_ACROSS = 16  # across a disc
MIN_WIDTH = 1.0
"""Width in pixels of the thinnest stroke."""
MAX_WIDTH = 1e6
"""Width in pixels of the widest stroke: files of others may state any."""
_DIGITS = 3  # of coordinates and widths in pixels: files store them in other units


@dataclass(frozen=True)
class Stroke:
    """A line (or a point or an area) with a class.

    Coordinates and width are rounded to a thousandth of a pixel. So a stroke that is read from a
    file, where they have other units, covers the same pixels as when it was drawn.
    """

    geometry: shapely.Geometry
    """In pixels, x is the column and y the row; (0, 0) is the raster's upper left corner."""
    land_class: int
    """Number of its class."""
    width: float = 3.0
    """Width in pixels of lines and points, `MIN_WIDTH` to `MAX_WIDTH`; areas have none."""
    is_check: bool = False
    """True if it is held back from the fit, to check the map with it."""
    scene: str = ""
    """The scene that it lies on, in a project of several; empty otherwise."""

    def __post_init__(self) -> None:
        """Round coordinates and width."""
        rounded = shapely.transform(self.geometry, lambda xy: xy.round(_DIGITS))
        object.__setattr__(self, "geometry", rounded)
        width = min(max(MIN_WIDTH, float(self.width)), MAX_WIDTH)
        object.__setattr__(self, "width", round(width, _DIGITS))

    @property
    def reach(self) -> float:
        """Distance in pixels that it covers to each side of its geometry."""
        return 0.0 if self.geometry.geom_type.endswith("Polygon") else self.width / 2

    def moved(self, rows: float, cols: float) -> Stroke:
        """Return the stroke moved by so many pixels."""
        shift = np.array([cols, rows], float)
        return replace(self, geometry=shapely.transform(self.geometry, lambda xy: xy + shift))

    def touches(self, area: shapely.Geometry) -> bool:
        """Tell whether the stroke, with its width, touches an area."""
        # many times faster than to buffer a long scribble and intersect its outline
        return bool(shapely.dwithin(self.geometry, area, self.reach))

    def pixels(self, shape: Shape) -> Positions:
        """Return the pixels under the stroke; (pixels, 2) of row and column, each once.

        A large stroke gives an evenly spread sample of its pixels, which bounds the time.
        """
        if self.geometry.geom_type.endswith("Polygon"):
            positions = _inside(self.geometry, shape)
        else:
            positions = _along(self.geometry, self.width)
        on_raster = ((positions >= 0) & (positions < shape)).all(axis=1)
        return np.unique(positions[on_raster], axis=0)


@dataclass(frozen=True)
class Drawing:
    """The classes and the strokes, in the order in which they were drawn."""

    classes: tuple[LandClass, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    every_fifth: bool = False
    """True if every fifth stroke of each class that is drawn is held back as a check."""

    def find(self, number: int) -> LandClass:
        """Return a class by its number."""
        for land_class in self.classes:
            if land_class.number == number:
                return land_class
        raise LabelError(f"There is no class {number}; add it first.")


def make_line(points: Sequence[Sequence[float]]) -> shapely.Geometry:
    """Return the geometry of a stroke through (col, row) points, without needless vertices.

    Raises:
        LabelError: if they are no points; the server also gets requests of other programs.
    """
    distinct = _distinct(points)
    if len(distinct) == 1:
        return shapely.Point(distinct[0])
    return shapely.LineString(distinct).simplify(0.25)  # pixels: too little to be seen


def make_area(points: Sequence[Sequence[float]]) -> shapely.Geometry:
    """Return the area that (col, row) corners enclose; one whose outline crosses itself has parts.

    Raises:
        LabelError: if they are no points, or enclose nothing.
    """
    corners = _distinct(points)
    area = shapely.make_valid(shapely.Polygon(corners)) if len(corners) > 2 else shapely.Polygon()
    parts = [part for part in shapely.get_parts(area) if part.geom_type == "Polygon" and part.area]
    if not parts:
        raise LabelError("An area needs three corners that do not lie on one line.")
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _distinct(points: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    """Return points, rounded, without those that repeat the one before."""
    try:
        coordinates = np.asarray(points, float)
    except (TypeError, ValueError):
        coordinates = np.empty(0)
    if coordinates.ndim != 2 or coordinates.shape[1] != 2 or not np.isfinite(coordinates).all():
        raise LabelError("Expected a stroke as a list of points (column, row).")
    rounded = [tuple(round(value, _DIGITS) for value in point) for point in points]
    return [point for last, point in zip([None, *rounded], rounded, strict=False) if point != last]


def erase(strokes: Sequence[Stroke], eraser: Stroke) -> tuple[Stroke, ...]:
    """Cut away what the eraser touches; a stroke that is cut through becomes several strokes."""
    left: list[Stroke] = []
    rubber = eraser.geometry.buffer(eraser.reach)
    for stroke in strokes:
        if not stroke.touches(rubber):
            left.append(stroke)
            continue
        whole = shapely.make_valid(stroke.geometry)  # rounding may fold a sliver over itself
        pieces = shapely.get_parts(whole.difference(rubber.buffer(stroke.reach)))
        left += [replace(stroke, geometry=piece) for piece in pieces if not piece.is_empty]
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
        per_stroke: most pixels sampled from one stroke, so that long strokes do not dominate.
        in_all: most pixels sampled from all strokes, in equal shares; None for no limit.
        seed: seed of the random choice.

    Returns:
        (samples, 2) row and column, and (samples,) class.
    """
    positions: list[Positions] = [np.empty((0, 2), np.int64)]
    classes: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    share = per_stroke if in_all is None else max(1, in_all // max(1, len(strokes)))
    for stroke in strokes:
        sample = _thinned(_sample(stroke, shape, per_stroke, seed), share)
        positions.append(sample)
        classes.append(np.full(len(sample), stroke.land_class, np.int32))
    every, numbers = np.concatenate(positions), np.concatenate(classes)
    # np.unique returns the first index of each pixel: of the reversed keys, its last stroke.
    keys = every[:, 0] * shape[1] + every[:, 1]
    last = len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
    last.sort()
    return every[last], numbers[last]


def _thinned(positions: Positions, most: int) -> Positions:
    """Return at most ``most`` positions, evenly spread."""
    if len(positions) <= most:
        return positions
    return positions[np.linspace(0, len(positions) - 1, most).astype(np.int64)]


# More than a page takes: each update samples all strokes again, of which only one is new.
@lru_cache(maxsize=10_000)
def _sample(stroke: Stroke, shape: Shape, most: int, seed: int) -> Positions:
    pixels = stroke.pixels(shape)
    if len(pixels) <= most:
        return pixels
    # Each stroke has its own generator, so that adding a stroke does not change other samples.
    rng = np.random.default_rng((seed, len(pixels)))
    return np.asarray(pixels[np.sort(rng.choice(len(pixels), most, replace=False))])


def _along(geometry: shapely.Geometry, width: float) -> Positions:
    """Return the pixels of discs set close together along a line; pixels may occur repeatedly."""
    step = max(0.5, width / 4, geometry.length / _MOST_DISCS)
    centres = []
    for line in shapely.get_parts(geometry):
        corners = shapely.get_coordinates(line)
        along = np.append(0, np.hypot(*np.diff(corners, axis=0).T).cumsum())
        distances = np.append(np.arange(0, along[-1], step), along[-1])
        centres.append(np.stack([np.interp(distances, along, axis) for axis in corners.T], axis=1))
    xy = np.concatenate(centres) if centres else np.empty((0, 2))
    radius, every = width / 2, max(1, int(width // _MOST_ACROSS))
    half = int(np.ceil(radius))
    reach = np.arange(half % every - half, half + 1, every)  # the centre is one of them
    rows, cols = np.meshgrid(reach, reach, indexing="ij")
    near = np.stack([rows.ravel(), cols.ravel()], axis=1)
    pixel = np.floor(xy[:, ::-1]).astype(np.int64)  # (row, col) under each centre
    pixels = pixel[:, None] + near
    away = np.linalg.norm(pixels + 0.5 - xy[:, None, ::-1], axis=-1)
    covered = (away <= radius) | ~near.any(axis=1)  # a thin line covers the pixel under it
    return np.asarray(pixels[covered])


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
