"""Rasters on disk. This package alone uses rasterio (and through it GDAL and PROJ)."""

from clusternet.raster.profile import RasterProfile, check_same_grid
from clusternet.raster.reading import (
    RASTER_SUFFIXES,
    Raster,
    find_rasters,
    open_raster,
    read_shape,
    resolve_nodata,
)
from clusternet.raster.writing import MapWriter, create_map, write_patch

__all__ = [
    "RASTER_SUFFIXES",
    "MapWriter",
    "Raster",
    "RasterProfile",
    "check_same_grid",
    "create_map",
    "find_rasters",
    "open_raster",
    "read_shape",
    "resolve_nodata",
    "write_patch",
]
