"""Whether two rasters lie on each other, and how one is brought onto the other's grid."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from clusternet.errors import GridMismatchError
from clusternet.foreign_errors import converted
from clusternet.raster.comparison import Side, check_comparable, refuse_control
from clusternet.raster.crs import (
    crs_name,
    full_turn,
    horizontal,
    is_local,
    is_on_earth,
    moved_points,
    near_turn,
    turns_between,
)
from clusternet.raster.opening import open_dataset
from clusternet.raster.profile import RasterProfile
from clusternet.raster.reading import Raster
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Window

logger = logging.getLogger(__name__)

_OUTSIDE = -(2**31)  # no class number, so it marks what a warped raster does not cover
_TOLERANCE = 0.01  # pixels; text world files round more than numbers do
_CONTROL_TOLERANCE = 0.5  # pixels; control points are measured
_LATTICE = 21  # points a side that tell whether two rasters meet


class Readable(Protocol):
    """Anything that reads windows as a `Raster` does."""

    @property
    def profile(self) -> RasterProfile:
        """Of the raster."""

    def read(self, window: Window) -> tuple[AnyArray, BoolArray]:
        """Read a window, see `Raster.read`."""


def check_same_grid(first: RasterProfile, second: RasterProfile) -> None:
    """Raise GridMismatchError unless both rasters have the same size and lie in the same place.

    Position is compared only where both files state one. What counts is where pixels lie, not how
    a CRS is written; corners may differ by a hundredth of a pixel. A local CRS cannot be compared
    with another one: equal numbers are then taken for the same place, with a warning.
    """
    if first.shape != second.shape:
        raise GridMismatchError(
            f"{second.path}: expected {first.shape[0]} x {first.shape[1]} pixels like "
            f"{first.path}, found {second.shape[0]} x {second.shape[1]}."
        )
    if not (_is_placed(first) and _is_placed(second)):
        return
    if not (first.is_georeferenced and second.is_georeferenced):
        _check_control(first, second)
        return
    nodes = _lattice(second.shape, 3)
    there = _on_grid(nodes, second, first)
    if (np.abs(there - nodes) > _TOLERANCE).any() or not np.isfinite(there).all():
        raise GridMismatchError(
            f"{second.path}: its grid ({crs_name(second.crs)}) is shifted or scaled against "
            f"{first.path} ({crs_name(first.crs)}); resample it: {_resample_command(first, second)}"
        )
    if is_local(first.crs) != is_local(second.crs) and first.crs and second.crs:
        logger.warning(
            "%s: a local CRS cannot be compared with another one (%s, %s); its grid has the same "
            "numbers as that of %s and is taken for the same.",
            second.path, crs_name(second.crs), crs_name(first.crs), first.path,
        )  # fmt: skip


def _resample_command(grid: RasterProfile, labels: RasterProfile) -> str:
    """Return the command that brings labels onto a grid; it invents no class where they end."""
    words = ["rio", "warp", str(labels.path), f"{labels.path.stem}_aligned.tif"]
    words += ["--like", str(grid.path)]
    if labels.nodata is None and labels.dtype == "uint8":
        words += ["--src-nodata", "254", "--dst-nodata", "254"]
    return shlex.join(words)


def on_same_grid(labels: RasterProfile, grid: RasterProfile) -> bool:
    """Tell whether labels can be read as they are; raise if they cannot be warped either."""
    try:
        check_same_grid(grid, labels)
    except GridMismatchError:
        for profile in (labels, grid):
            if profile.control is not None and not profile.is_georeferenced:
                refuse_control(profile.path, str(profile.control), profile.warp_command)
        if not (labels.is_georeferenced and grid.is_georeferenced):
            raise
        check_comparable(Side(str(labels.path), labels.crs), Side(str(grid.path), grid.crs))
        return False
    return True


@contextmanager
def warped_onto(labels: RasterProfile, grid: RasterProfile) -> Iterator[Readable]:
    """Show a raster on another grid, nearest neighbour, as a view that is read in windows."""
    failed = (
        f"{labels.path}: cannot be brought from {crs_name(labels.crs)} onto the grid of "
        f"{grid.path}, {crs_name(grid.crs)}"
    )
    with ExitStack() as stack:
        with converted(GridMismatchError, failed):
            source = stack.enter_context(open_dataset(labels.path))
            views = [
                Raster(stack.enter_context(_view(source, labels, grid, turn)), codes=True)
                for turn in _turns(labels, grid)
            ]
        yield views[0] if len(views) == 1 else _Joined(views)


def _view(
    source: DatasetReader, labels: RasterProfile, grid: RasterProfile, turn: float
) -> WarpedVRT:
    """Open a view of labels, whose longitudes are moved by ``turn``, on the grid."""
    plane = CRS.from_epsg(3857)  # stands in where neither is on Earth: it only moves pixels
    both = is_on_earth(labels.crs) and is_on_earth(grid.crs)
    # a marker beside the values must fit too
    dtype = "int32" if np.can_cast(labels.dtype, "int32") else "float64"
    moved = {"src_transform": Affine.translation(turn, 0) @ labels.transform} if turn else {}
    return WarpedVRT(
        source,
        src_crs=horizontal(labels.crs) if both and labels.crs else plane,
        crs=horizontal(grid.crs) if both and grid.crs else plane,
        transform=grid.transform,
        height=grid.shape[0],
        width=grid.shape[1],
        resampling=Resampling.nearest,
        # GDAL takes no mask where there is a value
        src_nodata=None if labels.has_mask else labels.nodata,
        nodata=_OUTSIDE,
        dtype=dtype,
        **moved,
    )


class _Joined:
    """Views of one raster that show different parts of it."""

    def __init__(self, views: Sequence[Raster]) -> None:
        self._views = views

    @property
    def profile(self) -> RasterProfile:
        return self._views[0].profile

    def read(self, window: Window) -> tuple[AnyArray, BoolArray]:
        pixels, valid = self._views[0].read(window)
        for view in self._views[1:]:
            others, more = view.read(window)
            pixels[more & ~valid] = others[more & ~valid]
            valid |= more
        return pixels, valid


def _turns(labels: RasterProfile, grid: RasterProfile) -> list[float]:
    """Return what may have to be added to the longitudes of labels.

    Longitudes count from -180 or from 0, and beyond either end. A program that resamples does not
    see that 190 degrees east are 170 degrees west.
    """
    turn = full_turn(labels.crs)
    if turn is None:
        return [0.0]
    longitudes = np.array([-turn / 2, turn / 2])  # what a projected place comes to
    if full_turn(grid.crs) is not None:
        longitudes = _corners(grid)[:, 0]
    return turns_between(_corners(labels)[:, 0], longitudes, turn) or [0.0]


def boxes_meet(first: RasterProfile, second: RasterProfile) -> bool:
    """Tell whether two rasters that can be compared lie on each other somewhere."""
    pairs = ((first, second), (second, first))
    return any(_reaches_into(one, other) for one, other in pairs)


def window_around(first: RasterProfile, second: RasterProfile) -> Window:
    """Return the window of ``first`` that holds ``second``, as far as it lies on it."""
    there = _on_grid(_lattice(second.shape, _LATTICE), second, first)
    there = there[np.isfinite(there).all(axis=1)]
    if not len(there):
        return Window(0, 0, 0, 0)
    limits = np.array(first.shape[::-1])
    left, top = np.clip(np.floor(there.min(axis=0)), 0, limits).astype(int).tolist()
    right, bottom = np.clip(np.ceil(there.max(axis=0)), 0, limits).astype(int).tolist()
    return Window(top, left, bottom - top, right - left)


def _reaches_into(first: RasterProfile, second: RasterProfile) -> bool:
    there = _on_grid(_lattice(first.shape, _LATTICE), first, second)
    rows, cols = second.shape
    return bool(((there >= 0) & (there <= (cols, rows))).all(axis=1).any())


def _is_placed(profile: RasterProfile) -> bool:
    return profile.is_georeferenced or profile.control is not None


def _lattice(shape: tuple[int, int], side: int) -> AnyArray:
    """Return points over a raster, its corners among them; (points, 2) of col and row."""
    rows, cols = (np.linspace(0, size, side) for size in shape)
    return np.stack(np.meshgrid(cols, rows), axis=-1).reshape(-1, 2)


def _applied(transform: Affine, points: AnyArray) -> AnyArray:
    x, y = points.T
    with np.errstate(invalid="ignore"):  # points without a place are infinite
        moved = [
            transform.a * x + transform.b * y + transform.c,
            transform.d * x + transform.e * y + transform.f,
        ]
    return np.stack(moved, axis=1)


def _corners(profile: RasterProfile) -> AnyArray:
    return _applied(profile.transform, _lattice(profile.shape, 2))


def _on_grid(points: AnyArray, first: RasterProfile, second: RasterProfile) -> AnyArray:
    """Return where points (col, row) of the first raster lie on the grid of the second.

    Coordinates are compared as they stand unless both lie on Earth; infinite where a point has no
    place in the other CRS.
    """
    places = _applied(first.transform, points)
    if first.crs and second.crs and is_on_earth(first.crs) and is_on_earth(second.crs):
        places = moved_points(places, first.crs, second.crs)
        turn = full_turn(second.crs)
        if turn is not None:
            middle = second.transform @ (second.shape[1] / 2, second.shape[0] / 2)
            places[:, 0] = near_turn(places[:, 0], middle[0], turn)
    return _applied(~second.transform, places)


def _check_control(first: RasterProfile, second: RasterProfile) -> None:
    """Raise GridMismatchError if control points or polynomials place two rasters differently."""
    if _is_same_control(first, second):
        return
    for profile in (first, second):
        if profile.control is not None and not profile.is_georeferenced:
            refuse_control(profile.path, str(profile.control), profile.warp_command)


def _is_same_control(first: RasterProfile, second: RasterProfile) -> bool:
    one, other = first.control, second.control
    if one is not None and other is not None and not second.is_georeferenced:
        same = (one.points, one.rpcs) == (other.points, other.rpcs)
        return same and not first.is_georeferenced
    placed, controlled = (first, second) if first.is_georeferenced else (second, first)
    if controlled.control is None or not controlled.control.points:
        return False
    points = np.array(controlled.control.points)
    crs = controlled.control.crs
    places = points[:, 2:4]
    if crs and placed.crs and is_on_earth(crs) and is_on_earth(placed.crs):
        places = moved_points(places, crs, placed.crs)
    there = _applied(~placed.transform, places)
    return bool((np.abs(there - points[:, 1::-1]) <= _CONTROL_TOLERANCE).all())
