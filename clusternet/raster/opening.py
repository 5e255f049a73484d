"""Open files as rasters."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError  # what a property raises; rasterio.errors lacks it
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from clusternet.errors import RasterError
from clusternet.foreign_errors import converted
from clusternet.gdal_messages import gdal_complaints
from clusternet.messages import one_line
from clusternet.nodata import NodataChoice, Number
from clusternet.plain_paths import plain_path
from clusternet.raster.claims import check_num_bands, check_size
from clusternet.raster.drivers import allowed_drivers
from clusternet.raster.pages import check_pages
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.raster.reading import Raster

logger = logging.getLogger(__name__)

_ANOTHER_FORMAT = "not recognized as being in a supported file format"


@contextmanager
def open_dataset(path: Path) -> Iterator[DatasetReader]:
    """Open a file with rasterio, for what `Raster` does not tell.

    Raises:
        RasterError: if it is missing or unreadable, or cannot hold what its header claims.
    """
    name, drivers = plain_path(path, RasterError), allowed_drivers(path)
    with quiet_georeferencing():
        try:
            with rasterio.Env(), gdal_complaints():
                dataset = DatasetReader(name, driver=drivers)
        except (RasterioError, CPLE_BaseError) as error:
            raise RasterError(_why_not(path, error)) from error
        with dataset:
            check_num_bands(dataset)
            _settle(dataset, path)
            check_size(dataset)
            yield dataset


@contextmanager
def open_raster(
    path: Path, nodata: NodataChoice | Number | None = None, *, codes: bool = False
) -> Iterator[Raster]:
    """Open a raster for windowed reading.

    Args:
        path: the file.
        nodata: value that marks pixels without data, instead of what the file says; a
            `clusternet.nodata.NodataChoice` says more.
        codes: True for maps and labels, whose values are read as they stand; an image with a
            colour table is otherwise read as the red, green and blue that it shows.

    Raises:
        RasterError: if it is missing, unreadable or of a type that is not supported, or holds
            several images that belong together.
    """
    with open_dataset(path) as dataset:
        check_pages(dataset, Path(path))
        yield Raster(dataset, nodata, codes=codes)


def _why_not(path: Path, error: Exception) -> str:
    """Say why a file was not opened, in GDAL's words where they say more than that."""
    if not Path(path).exists():
        return f"{path}: no such file."
    if _ANOTHER_FORMAT in str(error):
        return f"{path}: cannot be read as a raster (damaged, cut off, or another format)."
    said = str(error).removeprefix(f"{Path(path).name}: ")
    return f"{path}: cannot be read as a raster ({one_line(said)})."


def _settle(dataset: DatasetReader, path: Path) -> None:
    """Ask a new dataset something, so that what GDAL complained of in opening it is over.

    A complaint about a part that nobody needs, such as a CRS that PROJ does not know, stays
    behind when opening succeeds, and rasterio raises it at the first property that is read.
    """
    try:
        _ = dataset.colorinterp
    except CPLE_BaseError as complaint:
        with converted(RasterError, f"{path}: cannot be read as a raster"):
            _ = dataset.colorinterp
        if str(complaint).startswith("PROJ") and dataset.crs is None:
            _warn(
                f"{path}: its CRS cannot be used ({one_line(str(complaint))}); it is read as one "
                "without CRS. Set another: gdal_translate -a_srs."
            )


@lru_cache
def _warn(message: str) -> None:
    """Warn once, since a raster is opened many times."""
    logger.warning(message)
