"""Names for the array types of the package."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

AnyArray = NDArray[Any]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]
UInt8Array = NDArray[np.uint8]

NO_CLASS = -1
"""The value in arrays of class numbers for pixels, shapes or clusters without a class."""

PIXEL_TYPES = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64",
)  # fmt: skip
"""numpy names of the types that pixels may have."""
