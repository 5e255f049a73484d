"""Colour tables: images whose pixels are numbers of colours."""

from __future__ import annotations

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from clusternet.types import AnyArray


def colour_lookup(dataset: DatasetReader, with_nodata: bool) -> AnyArray | None:
    """Return the (indexes, 4) RGBA table of a palette image, None for measurements."""
    if dataset.count != 1 or dataset.colorinterp[0] != ColorInterp.palette:
        return None
    size = 2 ** (8 * np.dtype(dataset.dtypes[0]).itemsize)
    table = np.zeros((size, 4), np.uint8)
    table[:, 3] = 255
    for index, colour in dataset.colormap(1).items():
        table[index] = colour
    if with_nodata and dataset.nodata is not None:
        table[int(dataset.nodata), 3] = 0
    return table
