"""Open files as rasters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader

from clusternet.errors import RasterError
from clusternet.nodata import NodataChoice, Number
from clusternet.plain_paths import plain_path
from clusternet.raster.complaints import gdal_complaints
from clusternet.raster.drivers import allowed_drivers
from clusternet.raster.pages import check_pages
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.raster.reading import Raster


@contextmanager
def open_dataset(path: Path) -> Iterator[DatasetReader]:
    """Open a file with rasterio, for what `Raster` does not tell.

    Raises:
        RasterError: if it is missing or unreadable.
    """
    name, drivers = plain_path(path, RasterError), allowed_drivers(path)
    with quiet_georeferencing():
        try:
            with rasterio.Env(), gdal_complaints():
                dataset = DatasetReader(name, driver=drivers)
        except RasterioIOError as error:
            if not Path(path).exists():
                raise RasterError(f"{path}: no such file.") from error
            raise RasterError(
                f"{path}: cannot be read as a raster (damaged, cut off, or another format)."
            ) from error
        with dataset:
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
