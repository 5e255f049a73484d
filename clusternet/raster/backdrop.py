"""Another raster on the grid of a scene, to be shown behind it."""

from __future__ import annotations

from pathlib import Path

import rasterio.shutil
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from clusternet.errors import GridMismatchError
from clusternet.files.outputs import new_file
from clusternet.foreign_errors import converted
from clusternet.raster.alignment import boxes_meet
from clusternet.raster.comparison import Side, check_comparable
from clusternet.raster.opening import open_dataset, open_raster
from clusternet.raster.profile import RasterProfile


def write_view(source: Path, grid: RasterProfile, path: Path) -> None:
    """Write a virtual raster that shows another raster on the grid of a scene.

    Args:
        source: any raster that lies on the scene.
        grid: of the scene.
        path: the .vrt to write; it is replaced.

    Raises:
        GridMismatchError: if the two cannot be compared, or do not meet.
        RasterError: if the raster cannot be read.
    """
    with open_raster(source, codes=True) as raster:
        profile = raster.profile
    check_comparable(Side(str(source), profile.crs), Side(str(grid.path), grid.crs))
    if not boxes_meet(profile, grid):
        raise GridMismatchError(
            f"--backdrop {source}: does not lie on {grid.path}; name a raster of the same place."
        )
    failed = f"--backdrop {source}: cannot be brought onto the grid of {grid.path}"
    with converted(GridMismatchError, failed), open_dataset(source.resolve()) as dataset:
        crs = profile.crs or rasterio.CRS.from_epsg(3857)  # any, if both have none
        with WarpedVRT(
            dataset,
            src_crs=crs,
            crs=grid.crs or crs,
            transform=grid.transform,
            height=grid.shape[0],
            width=grid.shape[1],
            resampling=Resampling.bilinear,
            add_alpha=dataset.nodata is None,
        ) as view:
            with new_file(path, overwrite=True) as hidden_path:
                rasterio.shutil.copy(view, hidden_path, driver="VRT")
