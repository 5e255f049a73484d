"""Open arrays as rasters, so that the same code reads arrays and files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import rasterio
from rasterio.io import MemoryFile

from clusternet.errors import RasterError
from clusternet.nodata import NodataChoice, NodataRule, Number
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.raster.reading import Raster
from clusternet.types import AnyArray, BoolArray


@contextmanager
def open_array(pixels: AnyArray, nodata: NodataChoice | Number | None = None) -> Iterator[Raster]:
    """Open an array (rows, cols, bands) or (rows, cols) as a raster without georeference.

    The mask of a masked array becomes the mask of the raster.

    Raises:
        RasterError: if the array has no such shape.
    """
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise RasterError(
            f"Expected an array (rows, cols, bands) or (rows, cols), received {pixels.shape}."
        )
    bands = pixels[np.newaxis] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    count, height, width = bands.shape
    internal = rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True)
    with quiet_georeferencing(), MemoryFile() as memory:
        with memory.open(
            driver="GTiff", height=height, width=width, count=count, dtype=bands.dtype.name,
            photometric="minisblack", alpha="unspecified",
        ) as dataset:  # fmt: skip
            dataset.write(np.ma.getdata(bands))
            if isinstance(bands, np.ma.MaskedArray):
                with internal:
                    dataset.write_mask(_with_data(bands, NodataChoice.of(nodata).rule))
        with memory.open() as dataset:
            yield Raster(dataset, NodataChoice.of(nodata).of_pixels)


def _with_data(bands: AnyArray, rule: NodataRule | None) -> BoolArray:
    """Return the pixels of masked (bands, rows, cols) that have data; (rows, cols)."""
    masked = np.ma.getmaskarray(bands)
    return ~np.asarray(masked.all(axis=0) if rule == "all" else masked.any(axis=0), np.bool_)
