"""Separable filters of images that lie plane by plane: (patches, planes, rows, cols).

A row of a plane is one piece of memory. So a filter along the other axis treats all pixels of a row
alike, which is the fastest way to filter a few bands on a processor: with the bands last, three
bands fill three of its sixteen lanes. Each sum has the same order either way, and the same result.
"""

from __future__ import annotations

from typing import Any

from clusternet.network.backend import keras
from clusternet.types import FloatArray

ops = keras.ops


def to_planes(tensor: Any) -> Any:
    """Return (patches, rows, cols, bands) as planes."""
    return ops.transpose(tensor, (0, 3, 1, 2))


def to_bands(planes: Any) -> Any:
    """Return planes as (patches, rows, cols, bands)."""
    return ops.transpose(planes, (0, 2, 3, 1))


def turned(planes: Any) -> Any:
    """Return (patches, planes, cols, rows): what lay from left to right lies from top to bottom."""
    return ops.transpose(planes, (0, 1, 3, 2))


def trimmed(planes: Any, width: int) -> Any:
    """Leave out ``width`` pixels on each side."""
    return planes[..., width:-width, width:-width] if width else planes


def filtered_down(planes: Any, kernel: FloatArray) -> Any:
    """Filter each plane from top to bottom; the kernel's radius is lost on both ends."""
    num_planes, (rows, cols) = int(planes.shape[1]), ops.shape(planes)[2:]
    # Keras computes a correlation. The reversed kernel makes it a convolution, as SciPy's.
    weights = ops.reshape(ops.convert_to_tensor(kernel[::-1].copy()), (-1, 1, 1, 1))
    if keras.backend.backend() == "tensorflow":
        # the pixels of a row are channels, all with the same kernel
        flat = ops.reshape(planes, (-1, 1, rows, cols))
        weights = ops.broadcast_to(ops.transpose(weights, (1, 0, 2, 3)), (1, len(kernel), cols, 1))
        found = ops.depthwise_conv(flat, weights, padding="valid", data_format="channels_last")
    else:
        flat = ops.reshape(planes, (-1, rows, cols, 1))
        found = ops.conv(flat, weights, padding="valid", data_format="channels_last")
    return ops.reshape(found, (-1, num_planes, rows - len(kernel) + 1, cols))
