"""What the header of a file claims, against what the file can hold.

A header of a hundred bytes can claim billions of pixels. Where a claim cannot be true the file is
refused before anything is asked of it whose time or memory grows with the claim. What is sparse
stays welcome: missing blocks cost a few bytes each, and a small raster costs little anyway.
"""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from rasterio.enums import Interleaving
from rasterio.io import DatasetReader

from clusternet.errors import RasterError

_MOST_BANDS = 4096  # more than any sensor; a pixel of as many is no image
_MOST_BLOCK = 240 * 10**6  # bytes: what GDAL keeps of a file, or each window decodes all anew
_FREE = 2**28  # values that anybody may claim: 16,384 x 16,384 pixels
_MOST_VALUES = {"JPEG": 2**16, "PNG": 2**14}
"""Values that a byte can stand for at most in formats that cannot leave pixels out."""
_MOST_SPARSE = 2**18  # in other formats: a block that is missing takes 8 bytes


def check_claims(dataset: DatasetReader) -> None:
    """Raise RasterError if an open file cannot hold what its header claims."""
    path = Path(dataset.name)  # without what `plain_path` put before it
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
    if _exceeds(rows * cols * dataset.count, dataset):
        raise RasterError(
            f"{path}: claims {rows} x {cols} pixels of {dataset.count} band(s), more than its "
            f"{_size(dataset)} bytes can hold. Its header seems to be damaged; if it is almost "
            "empty, cut out the part with data: gdal_translate -srcwin."
        )
    if (block := _block_bytes(dataset)) > _MOST_BLOCK:
        raise RasterError(
            f"{path}: is stored in blocks of {block / 1e6:.0f} MB, which are read whole; expected "
            f"{_MOST_BLOCK / 1e6:.0f} MB at most. Write it in tiles: gdal_translate -co TILED=YES."
        )


def _exceeds(num_values: int, dataset: DatasetReader) -> bool:
    most = _MOST_VALUES.get(dataset.driver)
    if most is None:
        return num_values > _FREE and num_values > _MOST_SPARSE * _size(dataset)
    return num_values > most * _size(dataset)


def _size(dataset: DatasetReader) -> int:
    """Return the bytes of all files that a dataset is read from."""
    size = 0
    for name in dataset.files or [dataset.name]:
        with suppress(OSError):  # no file, as something of GDAL's own
            size += Path(name).stat().st_size
    return size


def _block_bytes(dataset: DatasetReader) -> int:
    """Return the size of the largest block, decoded."""
    pixels = max((math.prod(shape) for shape in set(dataset.block_shapes)), default=0)
    bands = dataset.count if dataset.interleaving == Interleaving.pixel else 1
    return pixels * bands * max((_item_bytes(dtype) for dtype in set(dataset.dtypes)), default=0)


def _item_bytes(dtype: str) -> int:
    sizes = {"complex_int16": 4, "complex64": 8, "complex128": 16}
    digits = "".join(c for c in dtype if c.isdigit())
    return sizes.get(dtype, int(digits or 8) // 8)
