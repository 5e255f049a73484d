"""Whether two rasters, or shapes and a raster, lie on each other, and how one is brought there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from clusternet.errors import GridMismatchError
from clusternet.foreign_errors import converted, is_foreign
from clusternet.raster.opening import open_dataset
from clusternet.raster.profile import RasterProfile
from clusternet.raster.reading import Raster
from clusternet.vectors import Bounds, Shapes

_OUTSIDE = -(2**31)  # no class number, so it marks what a warped raster does not cover


def check_same_grid(first: RasterProfile, second: RasterProfile) -> None:
    """Raise GridMismatchError unless both rasters have the same size and lie in the same place.

    Position is compared only where both files state one; corners may differ by a hundredth of
    a pixel, which is what text world files round away.
    """
    if first.shape != second.shape:
        raise GridMismatchError(
            f"{second.path}: expected {first.shape[0]} x {first.shape[1]} pixels like "
            f"{first.path}, found {second.shape[0]} x {second.shape[1]}."
        )
    if not (first.is_georeferenced and second.is_georeferenced):
        return
    if first.crs and second.crs and first.crs != second.crs:
        raise GridMismatchError(
            f"{second.path}: expected the CRS of {first.path} ({first.crs}), found {second.crs}."
        )
    rows, cols = first.shape
    for corner in ((0, 0), (cols, 0), (0, rows), (cols, rows)):
        col, row = ~first.transform @ (second.transform @ corner)
        if max(abs(col - corner[0]), abs(row - corner[1])) > 0.01:
            raise GridMismatchError(
                f"{second.path}: its grid is shifted or scaled against {first.path}; "
                "resample one onto the other (gdalwarp, or Align rasters in QGIS)."
            )


def on_same_grid(labels: RasterProfile, grid: RasterProfile) -> bool:
    """Tell whether labels can be read as they are; raise if they cannot be warped either."""
    try:
        check_same_grid(grid, labels)
    except GridMismatchError:
        if (labels.crs is None) != (grid.crs is None):
            without, given = (labels, grid) if labels.crs is None else (grid, labels)
            raise GridMismatchError(
                f"{without.path}: has no CRS but {given.path} has one, and they do not share "
                "their grid; set the CRS of the first (gdal_edit -a_srs, or Assign Projection "
                "in QGIS)."
            ) from None
        if not (labels.is_georeferenced and grid.is_georeferenced):
            raise
        return False
    return True


@contextmanager
def warped_onto(labels: RasterProfile, grid: RasterProfile) -> Iterator[Raster]:
    """Show a raster on another grid, nearest neighbour, as a view that is read in windows."""
    # a marker beside the values must fit too
    dtype = "int32" if np.can_cast(labels.dtype, "int32") else "float64"
    failed = f"{labels.path}: cannot be brought onto the grid of {grid.path}"
    with ExitStack() as stack:
        with converted(GridMismatchError, failed):
            # stands in where neither side states a CRS: only moves pixels
            any_plane = CRS.from_epsg(3857)
            source = stack.enter_context(open_dataset(labels.path))
            view = stack.enter_context(
                WarpedVRT(
                    source,
                    src_crs=labels.crs or any_plane,
                    crs=grid.crs or any_plane,
                    transform=grid.transform,
                    height=grid.shape[0],
                    width=grid.shape[1],
                    resampling=Resampling.nearest,
                    # GDAL takes no mask where there is a value
                    src_nodata=None if labels.has_mask else labels.nodata,
                    nodata=_OUTSIDE,
                    dtype=dtype,
                )
            )
        yield Raster(view, codes=True)


def _bounds(profile: RasterProfile) -> Bounds:
    rows, cols = profile.shape
    ends = ((0, 0), (cols, 0), (0, rows), (cols, rows))
    corners = [profile.transform @ end for end in ends]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def boxes_meet(first: RasterProfile, second: RasterProfile) -> bool:
    """Tell whether the boxes around two rasters meet, in the CRS of the second."""
    box = _bounds(first)
    if first.crs and second.crs:
        try:
            with rasterio.Env():  # or GDAL prints what it complains of
                box = transform_bounds(first.crs, second.crs, *box)
        except Exception as error:
            if not is_foreign(error):
                raise
            return False  # outside the CRS's area of use, so surely not on the map
    return bool(shapely.box(*box).intersects(shapely.box(*_bounds(second))))


def drawing_transform(shapes: Shapes, grid: RasterProfile) -> Affine:
    """Return the transform from pixels to the coordinates that shapes are drawn in.

    On a raster without georeference these are pixels; GIS programs let y grow upwards there, so
    what is drawn in one lies at negative y.
    """
    if grid.is_georeferenced:
        return grid.transform
    bottom, top = shapes.bounds[1], shapes.bounds[3]
    return Affine.scale(1, -1) if bottom + top < 0 else Affine.identity()
