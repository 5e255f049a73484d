"""Fixed filters: features of a pixel's surroundings that need no learning.

They are a Keras layer, so that they run in the same graph as the network.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clusternet.network.backend import keras
from clusternet.network.filter_sizes import BORDER, GRADIENT_SCALE, SCALES, num_filters, radius
from clusternet.network.planes import filtered_down, to_bands, to_planes, trimmed, turned
from clusternet.types import FloatArray
from clusternet.windows import Shape

ops = keras.ops

FAINT = 1e-2
"""Squared gradient, of standardised bands, below which a direction means nothing."""
_MANY = 8
"""Bands that fill the lanes of a processor; fewer are filtered plane by plane."""


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
        (patches, rows, cols, filters) float32; without mirroring `BORDER` pixels fewer on each
        side.
    """

    def __init__(self, shape: Shape, *, mirror: bool = True, **options: Any) -> None:
        """Take the smallest (rows, cols) of the inputs: no more pixels are mirrored at a time.

        Args:
            shape: as above.
            mirror: mirror the image at its border. False leaves out the `BORDER` pixels on each
                side whose filters need others beyond them.
            options: of the layer.
        """
        super().__init__(dtype="float32", trainable=False, **options)
        self._most, self._mirror = min(shape), mirror

    def call(self, bands: Any) -> Any:
        """See the class."""
        wide = _mirrored(bands, BORDER, self._most) if self._mirror else bands
        products = _structure(to_planes(ops.mean(wide, axis=-1, keepdims=True)))
        wide = _cut(wide, radius(GRADIENT_SCALE))
        grey = to_planes(ops.mean(wide, axis=-1, keepdims=True))
        planes = ops.concatenate([grey**2, products, grey], axis=1)
        features, coherences = [_cut(wide, radius(max(SCALES)))], []
        for scale in SCALES:
            spare = radius(max(SCALES)) - radius(scale)
            smooth = _smoothed(_cut(wide, spare), _gaussian(scale, 0))
            mean = turned(to_planes(ops.mean(smooth, axis=-1, keepdims=True)))
            *texture, coherence = _at_scale(trimmed(planes, spare), mean, scale)
            features += [smooth, to_bands(turned(ops.concatenate(texture, axis=1)))]
            coherences.append(coherence)
        features.append(to_bands(turned(ops.concatenate(coherences, axis=1))))
        return ops.concatenate(features, axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        lost = 0 if self._mirror else 2 * BORDER
        rows, cols = (None if size is None else size - lost for size in shape[1:3])
        return (shape[0], rows, cols, num_filters(int(shape[-1] or 0)))


class CropAndConcatenate(keras.layers.Layer):  # type: ignore[misc]
    """Crops filters to the pixels that have features, and concatenates both along the last axis.

    Filters may cover more pixels on each side. If their number is odd, the top and left lose one
    pixel more, as with `clusternet.windows.centre`.
    """

    def call(self, tensors: list[Any]) -> Any:
        """Take features (patches, rows, cols, ...) and filters (patches, rows', cols', ...)."""
        features, filters = tensors
        rows, cols = ops.shape(features)[1:3]
        return ops.concatenate([features, centred(filters, rows, cols)], axis=-1)

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        features, filters = shapes
        return (*features[:-1], int(features[-1] or 0) + int(filters[-1] or 0))


def centred(tensor: Any, rows: int, cols: int) -> Any:
    """Return the middle of (patches, rows', cols', ...), see `CropAndConcatenate`."""
    top, left = ((ops.shape(tensor)[axis] - size + 1) // 2 for axis, size in ((1, rows), (2, cols)))
    return tensor[:, top : top + rows, left : left + cols]


def _structure(grey: Any) -> Any:
    """Return the products of the gradient's two sides, of which the structure tensor is made."""
    plain, slope = (_gaussian(GRADIENT_SCALE, order) for order in (0, 1))
    down, across = _separable(grey, slope, plain), _separable(grey, plain, slope)
    down, across = turned(down), turned(across)
    return ops.concatenate([down * down, across * across, down * across], axis=1)


def _separable(planes: Any, down: FloatArray, across: FloatArray) -> Any:
    """Filter planes from top to bottom, then from left to right; the result is turned."""
    return filtered_down(turned(filtered_down(planes, down)), across)


def _smoothed(bands: Any, kernel: FloatArray) -> Any:
    """Filter bands (patches, rows, cols, bands) by one kernel along both axes."""
    num_bands = int(bands.shape[-1])
    if num_bands < _MANY:
        return to_bands(turned(_separable(to_planes(bands), kernel, kernel)))
    columns = np.repeat(kernel[::-1, None], num_bands, axis=1)
    for shape in ((-1, 1), (1, -1)):
        weights = columns.reshape((*shape, num_bands, 1))
        bands = ops.depthwise_conv(bands, weights, padding="valid", data_format="channels_last")
    return bands


def _at_scale(planes: Any, mean: Any, scale: float) -> tuple[Any, Any, Any, Any]:
    """Return gradient, Laplacian, deviation and coherence at a scale, turned.

    Args:
        planes: grey squared, three products of the gradient, and grey.
        mean: smoothed grey, turned.
        scale: of the Gaussian.
    """
    plain, slope, bend = (_gaussian(scale, order) for order in range(3))
    grey = planes[:, -1:]
    smooth = filtered_down(planes, plain)
    others = [filtered_down(grey, slope), filtered_down(grey, bend)]
    half = turned(ops.concatenate([smooth[:, :-1], *others, smooth[:, -1:]], axis=1))
    found = filtered_down(half[:, :-1], plain)
    across, cols_bend = (filtered_down(half[:, -1:], kernel) for kernel in (slope, bend))
    squares, rows, cols, both, down, rows_bend = (found[:, at : at + 1] for at in range(6))
    return (
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


def _gaussian(scale: float, order: int) -> FloatArray:
    """Return a derivative of the Gaussian at whole pixels; order 0 sums to 1."""
    at = np.arange(-radius(scale), radius(scale) + 1)
    weights = np.exp(-0.5 * (at / scale) ** 2)
    weights /= weights.sum()
    factors = (1, -at / scale**2, (at**2 - scale**2) / scale**4)
    return np.asarray(weights * factors[order], np.float32)
