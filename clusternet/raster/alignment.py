"""Compare the grids of two rasters, and resample one onto the grid of the other."""

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

_OUTSIDE = -(2**31)  # marks pixels that a warped raster does not cover; no class has this number
_TOLERANCE = 0.01  # pixels; world files are texts that round coordinates
_CONTROL_TOLERANCE = 0.5  # pixels; control points are measured
_LATTICE = 21  # points along each side of the lattice that tests whether two rasters overlap


class Readable(Protocol):
    """Anything that reads windows as a `Raster` does."""

    @property
    def profile(self) -> RasterProfile:
        """Profile of the raster."""

    def read(self, window: Window) -> tuple[AnyArray, BoolArray]:
        """Read a window, see `Raster.read`."""


def check_same_grid(first: RasterProfile, second: RasterProfile) -> None:
    """Raise GridMismatchError unless both rasters have the same size and position.

    Position is compared only if both files are georeferenced. The positions of pixels are
    compared, not the texts of the CRSs; they may differ by a hundredth of a pixel. A local CRS
    cannot be compared with another one. Equal coordinates then count as the same position, with a
    warning.
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
    # nine points (corners, edges, centre) show a shift, a scale, a rotation or another projection
    nodes = _lattice(second.shape, 3)
    on_first = _on_grid(nodes, second, first)
    if (np.abs(on_first - nodes) > _TOLERANCE).any() or not np.isfinite(on_first).all():
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
    """Return the command that resamples labels to a grid, with nodata outside of the labels."""
    words = ["rio", "warp", str(labels.path), f"{labels.path.stem}_aligned.tif"]
    words += ["--like", str(grid.path)]
    if labels.nodata is None and labels.dtype == "uint8":
        # rio warp fills pixels outside of the labels with 0, a class, if there is no nodata value
        words += ["--src-nodata", "254", "--dst-nodata", "254"]
    return shlex.join(words)


def on_same_grid(labels: RasterProfile, grid: RasterProfile) -> bool:
    """Tell whether labels are on a grid; GridMismatchError if they cannot even be warped to it."""
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
    """Yield a view of a raster on another grid (nearest neighbour) that is read in windows."""
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
    """Open a view of labels, whose longitudes are shifted by ``turn``, on the grid."""
    # GDAL needs some CRS. If both rasters have a local one or none, any equal pair will do.
    plane = CRS.from_epsg(3857)
    both = is_on_earth(labels.crs) and is_on_earth(grid.crs)
    # the type must also hold _OUTSIDE
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
        # GDAL ignores the mask if a nodata value is given
        src_nodata=None if labels.has_mask else labels.nodata,
        nodata=_OUTSIDE,
        dtype=dtype,
        **moved,
    )


class _Joined:
    """Several views of one raster, shifted by full turns of longitude, read as one."""

    def __init__(self, views: Sequence[Raster]) -> None:
        self._views = views

    @property
    def profile(self) -> RasterProfile:
        return self._views[0].profile

    def read(self, window: Window) -> tuple[AnyArray, BoolArray]:
        pixels, valid = self._views[0].read(window)
        for view in self._views[1:]:
            other_pixels, other_valid = view.read(window)
            added = other_valid & ~valid
            pixels[added] = other_pixels[added]
            valid |= other_valid
        return pixels, valid


def _turns(labels: RasterProfile, grid: RasterProfile) -> list[float]:
    """Return the full turns to add to the longitudes of labels, so that they meet the grid.

    Some files have longitudes from -180 to 180, others from 0 to 360, and some exceed both. GDAL's
    warper does not know that 190 degrees east is 170 degrees west.
    """
    turn = full_turn(labels.crs)
    if turn is None:
        return [0.0]
    longitudes = np.array([-turn / 2, turn / 2])  # PROJ reprojects to this range
    if full_turn(grid.crs) is not None:
        longitudes = _corners(grid)[:, 0]
    return turns_between(_corners(labels)[:, 0], longitudes, turn) or [0.0]


def boxes_meet(first: RasterProfile, second: RasterProfile) -> bool:
    """Tell whether two rasters with comparable CRSs overlap."""
    pairs = ((first, second), (second, first))
    return any(_reaches_into(one, other) for one, other in pairs)


def window_around(first: RasterProfile, second: RasterProfile) -> Window:
    """Return the window of ``first`` that covers its overlap with ``second``."""
    on_first = _on_grid(_lattice(second.shape, _LATTICE), second, first)
    on_first = on_first[np.isfinite(on_first).all(axis=1)]
    if not len(on_first):
        return Window(0, 0, 0, 0)
    limits = np.array(first.shape[::-1])
    left, top = np.clip(np.floor(on_first.min(axis=0)), 0, limits).astype(int).tolist()
    right, bottom = np.clip(np.ceil(on_first.max(axis=0)), 0, limits).astype(int).tolist()
    return Window(top, left, bottom - top, right - left)


def _reaches_into(first: RasterProfile, second: RasterProfile) -> bool:
    on_second = _on_grid(_lattice(first.shape, _LATTICE), first, second)
    rows, cols = second.shape
    return bool(((on_second >= 0) & (on_second <= (cols, rows))).all(axis=1).any())


def _is_placed(profile: RasterProfile) -> bool:
    return profile.is_georeferenced or profile.control is not None


def _lattice(shape: tuple[int, int], side: int) -> AnyArray:
    """Return a lattice of points on a raster with its corners; (points, 2) of col and row."""
    rows, cols = (np.linspace(0, size, side) for size in shape)
    return np.stack(np.meshgrid(cols, rows), axis=-1).reshape(-1, 2)


def _applied(transform: Affine, points: AnyArray) -> AnyArray:
    x, y = points.T
    with np.errstate(invalid="ignore"):  # points that PROJ cannot reproject are infinite
        moved = [
            transform.a * x + transform.b * y + transform.c,
            transform.d * x + transform.e * y + transform.f,
        ]
    return np.stack(moved, axis=1)


def _corners(profile: RasterProfile) -> AnyArray:
    return _applied(profile.transform, _lattice(profile.shape, 2))


def _on_grid(points: AnyArray, first: RasterProfile, second: RasterProfile) -> AnyArray:
    """Return the positions (col, row) of points of the first raster on the grid of the second.

    They are reprojected if both CRSs are on Earth. Points that cannot be reprojected are infinite.
    """
    coordinates = _applied(first.transform, points)
    if first.crs and second.crs and is_on_earth(first.crs) and is_on_earth(second.crs):
        coordinates = moved_points(coordinates, first.crs, second.crs)
        turn = full_turn(second.crs)
        if turn is not None:
            middle = second.transform @ (second.shape[1] / 2, second.shape[0] / 2)
            coordinates[:, 0] = near_turn(coordinates[:, 0], middle[0], turn)
    return _applied(~second.transform, coordinates)


def _check_control(first: RasterProfile, second: RasterProfile) -> None:
    """Raise GridMismatchError if control points or RPCs give two rasters different positions."""
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
    with_transform, controlled = (first, second) if first.is_georeferenced else (second, first)
    if controlled.control is None or not controlled.control.points:
        return False
    points = np.array(controlled.control.points)
    crs = controlled.control.crs
    coordinates = points[:, 2:4]
    if crs and with_transform.crs and is_on_earth(crs) and is_on_earth(with_transform.crs):
        coordinates = moved_points(coordinates, crs, with_transform.crs)
    on_grid = _applied(~with_transform.transform, coordinates)
    return bool((np.abs(on_grid - points[:, 1::-1]) <= _CONTROL_TOLERANCE).all())
