"""Compare the size that the header of a file claims with the size of the file.

A damaged or hostile header of a hundred bytes can claim billions of pixels. Such a file is refused
before anything is done whose time or memory grows with the claimed size. Sparse files are
accepted: a missing block needs a few bytes. So are all small rasters.
"""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from rasterio.enums import Interleaving
from rasterio.io import DatasetReader

from clusternet.errors import RasterError
from clusternet.locations import RemotePath, SourcePath
from clusternet.raster.remote import remote_size

_MOST_BANDS = 4096  # more than any sensor has
# Bytes. A block that exceeds GDAL's block cache is decoded again for every window.
_MOST_BLOCK = 240 * 10**6
_FREE = 2**28  # values that any file may claim: 16,384 x 16,384 pixels
_MOST_VALUES = {"JPEG": 2**16, "PNG": 2**14}
"""Most values per byte of a file, in formats that store every pixel."""
_MOST_SPARSE = 2**18  # in other formats: a block that is missing takes 8 bytes


def check_claims(dataset: DatasetReader, path: Path) -> None:
    """Raise RasterError if an open file cannot hold what its header claims.

    The size of a file at an address is asked for only if it claims to be large. If the server does
    not say it, the file is read all the same: window by window, until a block is missing.
    """
    rows, cols = dataset.shape
    if dataset.count > _MOST_BANDS:
        raise RasterError(
            f"{path}: claims {dataset.count} bands; expected at most {_MOST_BANDS}. Its header "
            "seems to be damaged, or choose some bands: gdal_translate -b 1 -b 2."
        )
    if min(rows, cols) < 1:
        raise RasterError(
            f"{path}: claims {rows} x {cols} pixels; expected at least one. Its header seems to be "
            "damaged, or claims more than GDAL can count."
        )
    size = _size(dataset, path, rows * cols * dataset.count)
    if size is not None and _exceeds(rows * cols * dataset.count, dataset, size):
        raise RasterError(
            f"{path}: claims {rows} x {cols} pixels of {dataset.count} band(s), more than its "
            f"{size} bytes can hold. Its header seems to be damaged; if it is almost "
            "empty, cut out the part with data: gdal_translate -srcwin."
        )
    if (block := _block_bytes(dataset)) > _MOST_BLOCK:
        raise RasterError(
            f"{path}: is stored in blocks of {block / 1e6:.0f} MB, which are read whole; expected "
            f"{_MOST_BLOCK / 1e6:.0f} MB at most. Write it in tiles: gdal_translate -co TILED=YES."
        )


def _exceeds(num_values: int, dataset: DatasetReader, size: int) -> bool:
    most = _MOST_VALUES.get(dataset.driver)
    if most is None:
        return num_values > _FREE and num_values > _MOST_SPARSE * size
    return num_values > most * size


def _size(dataset: DatasetReader, path: Path, num_values: int) -> int | None:
    """Return the size in bytes of all files that a dataset is read from; None if unknown."""
    if isinstance(path, RemotePath) and path.addresses:
        return remote_size(path) if num_values > _FREE else None
    if isinstance(path, SourcePath):  # its files are looked at one by one
        return None
    size = 0
    try:
        names = dataset.files or [dataset.name]
    except UnicodeDecodeError:  # a virtual raster that states another encoding than it has
        return None
    for name in names:
        with suppress(OSError):  # a virtual file of GDAL
            size += Path(name).stat().st_size
    return size


def _block_bytes(dataset: DatasetReader) -> int:
    """Return the decoded size of the largest block in bytes."""
    pixels = max((math.prod(shape) for shape in set(dataset.block_shapes)), default=0)
    bands = dataset.count if dataset.interleaving == Interleaving.pixel else 1
    return pixels * bands * max((_item_bytes(dtype) for dtype in set(dataset.dtypes)), default=0)


def _item_bytes(dtype: str) -> int:
    sizes = {"complex_int16": 4, "complex64": 8, "complex128": 16}
    digits = "".join(c for c in dtype if c.isdigit())
    return sizes.get(dtype, int(digits or 8) // 8)
