"""Fixed filters: features of a pixel's surroundings that need no learning.

They are a Keras layer, so that they run in the same graph as the network.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clusternet.network.backend import keras
from clusternet.network.filter_sizes import BORDER, GRADIENT_SCALE, SCALES, num_filters, radius
from clusternet.types import FloatArray
from clusternet.windows import Shape

ops = keras.ops

FAINT = 1e-2
"""Squared gradient, of standardised bands, below which a direction means nothing."""


class FilterBank(keras.layers.Layer):  # type: ignore[misc]
    """Describes every pixel by the bands, and at three scales by smoothed bands and texture.

    Texture is measured on the mean of the bands: gradient magnitude, Laplacian of Gaussian, and
    the standard deviation under a Gaussian window; the first two are multiplied by the scale and
    its square, so that they compare between scales (Lindeberg 1998). Last comes, for each scale,
    how much the surroundings have one direction, as roads, roofs and furrows have: from the
    eigenvalues a >= b of the structure tensor, the gradient's outer product smoothed at that
    scale, (a - b) / (a + b) (Bigun and Granlund 1987).

    At the border the image is mirrored, as SciPy does (there only the order of mirroring and
    multiplying differs).

    Input shape:
        (patches, rows, cols, bands), standardised.

    Output shape:
        (patches, rows, cols, filters) float32.
    """

    def __init__(self, shape: Shape, **options: Any) -> None:
        """Take the smallest (rows, cols) of the inputs: no more pixels are mirrored at a time."""
        super().__init__(dtype="float32", trainable=False, **options)
        self._most = min(shape)

    def call(self, bands: Any) -> Any:
        """See the class."""
        wide = _mirrored(bands, BORDER, self._most)
        products = _structure(ops.mean(wide, axis=-1, keepdims=True))
        wide = _cut(wide, radius(GRADIENT_SCALE))
        grey = ops.mean(wide, axis=-1, keepdims=True)
        # All channels of a scale are filtered in one call: a depthwise convolution takes as long
        # for one channel as for eight.
        stack = ops.concatenate([wide, grey**2, *[grey] * 4, products], axis=-1)
        features, coherences = [bands], []
        for scale in SCALES:
            *described, coherence = _at_scale(stack, scale, int(bands.shape[-1]))
            features += described
            coherences.append(coherence)
        return ops.concatenate([*features, *coherences], axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return (*shape[:-1], num_filters(int(shape[-1] or 0)))


class CropAndConcatenate(keras.layers.Layer):  # type: ignore[misc]
    """Crops filters to the pixels that have features, and concatenates both along the last axis.

    Filters may cover more pixels on each side. If their number is odd, the top and left lose one
    pixel more, as with `clusternet.windows.centre`.
    """

    def call(self, tensors: list[Any]) -> Any:
        """Take features (patches, rows, cols, ...) and filters (patches, rows', cols', ...)."""
        features, filters = tensors
        rows, cols = ops.shape(features)[1:3]
        top, left = (
            (ops.shape(filters)[axis] - size + 1) // 2 for axis, size in ((1, rows), (2, cols))
        )
        centre = filters[:, top : top + rows, left : left + cols]
        return ops.concatenate([features, centre], axis=-1)

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        features, filters = shapes
        return (*features[:-1], int(features[-1] or 0) + int(filters[-1] or 0))


def _structure(grey: Any) -> Any:
    """Return the products of the gradient's two sides, of which the structure tensor is made."""
    plain, slope = (_gaussian(GRADIENT_SCALE, order) for order in (0, 1))
    both = _along_rows(ops.concatenate([grey, grey], axis=-1), [slope, plain])
    both = _along_cols(both, [plain, slope])
    down, across = both[..., :1], both[..., 1:]
    return ops.concatenate([down * down, across * across, down * across], axis=-1)


def _at_scale(stack: Any, scale: float, num_bands: int) -> tuple[Any, Any, Any, Any, Any]:
    """Return smoothed bands, gradient, Laplacian, deviation and coherence at a scale.

    Args:
        stack: bands, grey squared, grey four times, three products of the gradient, with a
            border as wide as the largest scale needs.
        scale: of the Gaussian.
        num_bands: bands at the front.
    """
    plain, slope, bend = (_gaussian(scale, order) for order in range(3))
    before, after = [plain] * (num_bands + 1), [plain] * 3
    stack = _cut(stack, radius(max(SCALES)) - radius(scale))
    stack = _along_rows(stack, [*before, plain, plain, slope, bend, *after])
    stack = _along_cols(stack, [*before, slope, bend, plain, plain, *after])
    bands, rest = stack[..., :num_bands], stack[..., num_bands:]
    squares, across, cols_bend, down, rows_bend, rows, cols, both = (
        rest[..., channel : channel + 1] for channel in range(8)
    )
    mean = ops.mean(bands, axis=-1, keepdims=True)
    return (
        bands,
        scale * ops.sqrt(down**2 + across**2),
        scale**2 * (rows_bend + cols_bend),
        ops.sqrt(ops.maximum(squares - mean**2, 0.0)),  # rounding may make a variance negative
        ops.sqrt((cols - rows) ** 2 + 4 * both**2) / (cols + rows + FAINT),
    )


def _mirrored(tensor: Any, width: int, most: int) -> Any:
    """Mirror a tensor at its border by ``width`` pixels, at most ``most`` at a time.

    A single call of pad cannot mirror more pixels than the tensor has.
    """
    while width:
        now = min(width, most)
        tensor = ops.pad(tensor, [(0, 0), (now, now), (now, now), (0, 0)], mode="symmetric")
        width -= now
    return tensor


def _cut(tensor: Any, width: int) -> Any:
    return tensor[:, width:-width, width:-width] if width else tensor


def _along_rows(tensor: Any, kernels: list[FloatArray]) -> Any:
    """Filter each band from top to bottom by its own kernel; the radius is lost on both ends."""
    return _filtered(tensor, kernels, (-1, 1))


def _along_cols(tensor: Any, kernels: list[FloatArray]) -> Any:
    """Filter each band from left to right by its own kernel; the radius is lost on both ends."""
    return _filtered(tensor, kernels, (1, -1))


def _filtered(tensor: Any, kernels: list[FloatArray], shape: tuple[int, int]) -> Any:
    # Keras computes a correlation. The reversed kernel makes it a convolution, as SciPy's.
    columns = np.stack([kernel[::-1] for kernel in kernels], axis=-1)
    kernel = columns.reshape((*shape, len(kernels), 1))
    return ops.depthwise_conv(tensor, kernel, padding="valid", data_format="channels_last")


def _gaussian(scale: float, order: int) -> FloatArray:
    """Return a derivative of the Gaussian at whole pixels; order 0 sums to 1."""
    at = np.arange(-radius(scale), radius(scale) + 1)
    weights = np.exp(-0.5 * (at / scale) ** 2)
    weights /= weights.sum()
    factors = (1, -at / scale**2, (at**2 - scale**2) / scale**4)
    return np.asarray(weights * factors[order], np.float32)
