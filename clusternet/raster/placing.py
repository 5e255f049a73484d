"""Reproject shapes to the CRS of a raster, also across the antimeridian."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS

from clusternet.errors import LabelError
from clusternet.foreign_errors import converted
from clusternet.raster.comparison import Side, check_comparable, refuse_control
from clusternet.raster.crs import (
    full_turn,
    horizontal,
    is_on_earth,
    moved_points,
    near_turn,
    stated,
    turns_between,
    wkt_of,
)
from clusternet.raster.endings import GEOJSON_SUFFIXES
from clusternet.raster.profile import RasterProfile
from clusternet.raster.shapes import Bounds, Shapes
from clusternet.types import AnyArray, BoolArray

logger = logging.getLogger(__name__)

_LATTICE = 21  # points along each side of the lattice that describes the extent of a raster


@dataclass(frozen=True)
class RasterExtent:
    """The CRS and extent of a raster, to which shapes are reprojected."""

    name: str
    """Name of the raster."""
    crs: str | None
    """CRS as WKT."""
    bounds: Bounds
    """Left, bottom, right, top in units of the CRS."""
    is_georeferenced: bool = True
    """False for an image in pixel coordinates."""
    control: str = ""
    """What georeferences the raster if it has no transform, such as ground control points."""
    warp_command: str = ""
    """The command that makes a raster with a transform then."""

    @classmethod
    def of(cls, profile: RasterProfile) -> RasterExtent:
        """Return the extent of a raster."""
        control = "" if profile.control is None else str(profile.control)
        return cls(
            str(profile.path),
            None if profile.crs is None else wkt_of(profile.crs),
            box_around(profile.transform, profile.shape),
            profile.is_georeferenced,
            "" if profile.is_georeferenced else control,
            profile.warp_command,
        )


def box_around(transform: Affine, shape: tuple[int, int]) -> Bounds:
    """Return the bounding box of a raster: left, bottom, right, top."""
    rows, cols = shape
    xs, ys = zip(
        *(transform @ corner for corner in ((0, 0), (cols, 0), (0, rows), (cols, rows))),
        strict=True,
    )
    return min(xs), min(ys), max(xs), max(ys)


def shapes_onto(shapes: Shapes, extent: RasterExtent, *, copies: bool = True) -> Shapes:
    """Return shapes in the CRS of a raster.

    Coordinates stay unchanged if neither side has a CRS, or one has none and the other a local
    one. A GeoJSON file without a CRS is in longitude and latitude by its standard. But if the
    raster is not on Earth, it is taken to be drawn in the coordinates of the raster.

    Args:
        shapes: shapes of a file.
        extent: the CRS and extent of the raster.
        copies: return a shape twice if it meets the raster twice, as on a raster around the Earth.

    Raises:
        GridMismatchError: if the coordinates of the two cannot be compared.
    """
    with converted(LabelError, f"{shapes.path}: its CRS cannot be used"):
        own = None if shapes.crs is None else stated(CRS.from_wkt(shapes.crs))
    target = None if extent.crs is None else stated(CRS.from_wkt(extent.crs))
    if own is not None and not is_on_earth(target) and _states_no_crs(shapes.path):
        logger.info("%s: states no CRS, and neither does %s; it is taken to be drawn in its "
                    "coordinates.", shapes.path, extent.name)  # fmt: skip
        own = None
    if extent.control and is_on_earth(own):
        refuse_control(extent.name, extent.control, extent.warp_command)
    check_comparable(
        Side(str(shapes.path), own), Side(extent.name, target, extent.is_georeferenced)
    )
    if own is None or target is None or not is_on_earth(target):
        return replace(shapes, crs=extent.crs)
    far = _far_away(shapes, own, target, extent.bounds)
    if far.any():
        geometries = shapes.geometries.copy()
        geometries[far] = shapely.Point()
        shapes = replace(shapes, geometries=geometries)
    moved = _moved(shapes, own, target, extent.name)
    turn = full_turn(target)
    if turn is None:
        return moved
    geometries = _mended(moved.geometries, turn, shapes.geometries, full_turn(own))
    return _around(replace(moved, geometries=geometries), extent.bounds, turn, copies=copies)


def _states_no_crs(path: Path) -> bool:
    """Tell whether a file is a GeoJSON without a CRS, for which GDAL assumes EPSG:4326."""
    if path.suffix.lower() not in GEOJSON_SUFFIXES:
        return False
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("crs") is None


def _far_away(shapes: Shapes, own: CRS, target: CRS, box: Bounds) -> BoolArray:
    """Tell which shapes with geographic coordinates lie far from a raster with a projected CRS.

    Outside of its area of use, a projection may map the other side of the Earth to the raster.
    """
    turn = full_turn(own)
    if turn is None or full_turn(target) is not None:
        return np.zeros(len(shapes.geometries), bool)
    xs, ys = np.meshgrid(*(np.linspace(box[i], box[i + 2], _LATTICE) for i in (0, 1)))
    lattice = moved_points(np.stack([xs.ravel(), ys.ravel()], axis=1), target, own)
    lattice = lattice[np.isfinite(lattice).all(axis=1)]
    if not len(lattice):
        return np.zeros(len(shapes.geometries), bool)
    lattice[:, 0] = near_turn(lattice[:, 0], lattice[0, 0], turn)
    low, high = lattice.min(axis=0), lattice.max(axis=0)
    # the lattice misses the extremes between its points, so a margin is added
    margin = 0.1 * (high - low).max()
    # a raster around a pole has all longitudes, so only latitudes can exclude a shape
    around_pole = high[0] - low[0] > turn / 2
    left, bottom, right, top = shapely.bounds(shapes.geometries).T
    middle, half = (low[0] + high[0]) / 2, (high[0] - low[0]) / 2 + margin
    apart = np.abs(near_turn((left + right) / 2, middle, turn) - middle)
    beside = (apart > half + (right - left) / 2) & ~around_pole
    return np.asarray(beside | (top < low[1] - margin) | (bottom > high[1] + margin))


def _moved(shapes: Shapes, own: CRS, target: CRS, name: str) -> Shapes:
    own, target = horizontal(own), horizontal(target)
    if own == target:
        return replace(shapes, crs=wkt_of(target))
    return replace(shapes, crs=wkt_of(own)).reprojected(wkt_of(target), name)


def _around(shapes: Shapes, box: Bounds, turn: float, *, copies: bool) -> Shapes:
    """Add full turns to longitudes, so that shapes are in the range of the raster's longitudes.

    With ``copies``, a shape that meets the raster twice is returned twice.
    """
    geometries = shapes.geometries
    frame, bounds = shapely.box(*box), shapely.bounds(geometries)
    finite = np.isfinite(bounds).all(axis=1)
    turns = turns_between(bounds[:, [0, 2]], np.array([box[0], box[2]]), turn)
    shifts = np.array(sorted({0.0, *turns}, key=abs))
    meets = np.zeros((len(geometries), len(shifts)), bool)
    for column, shift in enumerate(shifts):
        boxes = shapely.box(*(bounds[finite] + (shift, 0, shift, 0)).T)
        meets[finite, column] = shapely.intersects(frame, boxes)
    meets[~meets.any(axis=1), 0] = True  # it stays off the raster
    if not copies:
        meets &= meets.cumsum(axis=1) == 1
    index, chosen = np.nonzero(meets)
    lengths = shapely.get_num_coordinates(geometries[index])
    added = np.repeat(shifts[chosen], lengths)
    placed = shapely.transform(
        geometries[index], lambda p: np.stack([p[:, 0] + added, p[:, 1]], axis=1)
    )
    return replace(
        shapes, geometries=placed, classes=shapes.classes[index], rows=shapes.rows[index]
    )


def _mended(
    geometries: AnyArray, turn: float, before: AnyArray, turn_before: float | None
) -> AnyArray:
    """Return geometries whose longitudes do not jump at the antimeridian.

    PROJ returns longitudes from -180 to 180, so a small shape across the antimeridian comes out
    as wide as the Earth.

    Args:
        geometries: shapes in the CRS of the raster.
        turn: 360 degrees in units of that CRS.
        before: the same shapes in their own CRS.
        turn_before: 360 degrees in units of their CRS; None if it is projected.
    """
    torn = _widths(geometries) > turn / 2
    if turn_before is not None:
        torn &= _widths(before) < turn_before / 2
    mended = geometries.copy()
    mended[torn] = shapely.transform(
        geometries[torn],
        lambda p: np.stack([near_turn(p[:, 0], turn / 2, turn), p[:, 1]], axis=1),
    )
    return mended


def _widths(geometries: AnyArray) -> AnyArray:
    bounds = shapely.bounds(geometries)
    return np.asarray(bounds[:, 2] - bounds[:, 0])


def drawing_transform(shapes: Shapes, grid: RasterProfile) -> Affine:
    """Return the transform from pixels to the coordinates that shapes are drawn in.

    On a raster without georeference these are pixels. GIS programs show such a raster with
    y = -row, so shapes that were drawn in one have negative y.
    """
    if grid.is_georeferenced:
        return grid.transform
    bottom, top = shapes.bounds[1], shapes.bounds[3]
    return Affine.scale(1, -1) if bottom + top < 0 else Affine.identity()
