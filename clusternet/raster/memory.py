"""Arrays as rasters, so that whatever reads a file reads them too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from rasterio.io import MemoryFile

from clusternet.errors import RasterError
from clusternet.nodata import NodataChoice, Number
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.raster.reading import Raster
from clusternet.types import AnyArray


@contextmanager
def open_array(pixels: AnyArray, nodata: NodataChoice | Number | None = None) -> Iterator[Raster]:
    """Open an array (rows, cols, bands) or (rows, cols) as a raster without georeference.

    Raises:
        RasterError: if the array has no such shape.
    """
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise RasterError(
            f"Expected an array (rows, cols, bands) or (rows, cols), received {pixels.shape}."
        )
    bands = pixels[np.newaxis] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    count, height, width = bands.shape
    with quiet_georeferencing(), MemoryFile() as memory:
        with memory.open(
            driver="GTiff", height=height, width=width, count=count, dtype=bands.dtype.name,
            photometric="minisblack", alpha="unspecified",
        ) as dataset:  # fmt: skip
            dataset.write(bands)
        with memory.open() as dataset:
            yield Raster(dataset, nodata)
