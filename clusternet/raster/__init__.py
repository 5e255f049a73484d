"""Rasters on disk. This package alone uses rasterio (and through it GDAL and PROJ)."""

from clusternet.raster.alignment import check_same_grid
from clusternet.raster.endings import RASTER_SUFFIXES
from clusternet.raster.finding import find_rasters, find_scenes, inner_paths, one_scene
from clusternet.raster.lost_georeference import warn_of_lost_georeference
from clusternet.raster.map_files import check_new_map
from clusternet.raster.memory import open_array
from clusternet.raster.opening import open_raster, report_stacks
from clusternet.raster.orientation import warn_of_orientation
from clusternet.raster.pages import warn_of_other_images
from clusternet.raster.profile import RasterProfile, make_profile
from clusternet.raster.reading import Raster
from clusternet.raster.separate_bands import warn_of_separate_bands
from clusternet.raster.writing import MapForm, MapWriter, create_map, write_patch

__all__ = [
    "RASTER_SUFFIXES",
    "MapForm",
    "MapWriter",
    "Raster",
    "RasterProfile",
    "check_new_map",
    "check_same_grid",
    "create_map",
    "find_rasters",
    "find_scenes",
    "inner_paths",
    "make_profile",
    "one_scene",
    "open_array",
    "open_raster",
    "report_stacks",
    "warn_of_lost_georeference",
    "warn_of_orientation",
    "warn_of_other_images",
    "warn_of_separate_bands",
    "write_patch",
]
