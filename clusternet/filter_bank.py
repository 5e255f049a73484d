"""The fixed filters as a layer, so that maps need nothing but the network's graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusternet.backend import keras
from clusternet.filters import BORDER, FAINT, GRADIENT_SCALE, SCALES, num_filters
from clusternet.types import FloatArray
from clusternet.windows import Shape

ops = keras.ops
_REACH = 4.0  # standard deviations at which a Gaussian is cut off, as SciPy does


class FilterBank(keras.layers.Layer):  # type: ignore[misc]
    """Computes `clusternet.filters.fixed_filters`; no weights.

    At the border the image is mirrored, as SciPy does (there only the order of mirroring and
    multiplying differs).

    Input shape:
        (patches, rows, cols, bands), standardised.

    Output shape:
        (patches, rows, cols, filters) float32.
    """

    def __init__(self, shape: Shape, **options: Any) -> None:
        """Take the smallest (rows, cols) that will come: more cannot be mirrored at once."""
        super().__init__(dtype="float32", trainable=False, **options)
        self._most = min(shape)

    def call(self, bands: Any) -> Any:
        """See the class."""
        wide = _mirrored(bands, BORDER, self._most)
        grey = ops.mean(wide, axis=-1, keepdims=True)
        found = [bands]
        for scale in SCALES:
            smooth = _separable(ops.concatenate([wide, grey**2], axis=-1), scale, 0, 0)
            smooth, squares = smooth[..., :-1], smooth[..., -1:]
            mean = ops.mean(smooth, axis=-1, keepdims=True)
            slopes = [_separable(grey, scale, *order) for order in ((1, 0), (0, 1))]
            bends = [_separable(grey, scale, *order) for order in ((2, 0), (0, 2))]
            texture = (
                scale * ops.sqrt(slopes[0] ** 2 + slopes[1] ** 2),
                scale**2 * (bends[0] + bends[1]),
                ops.sqrt(ops.maximum(squares - mean**2, 0.0)),
            )
            found += [_cut(tensor, scale) for tensor in (smooth, *texture)]
        return ops.concatenate([*found, *_coherence(grey)], axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return (*shape[:-1], num_filters(int(shape[-1] or 0)))


class BesideCentre(keras.layers.Layer):  # type: ignore[misc]
    """Joins features and the centre of filters, which may reach further on each side.

    An odd pixel is cut off at the top and left, as `clusternet.windows.centre` does.
    """

    def call(self, tensors: list[Any]) -> Any:
        """Join (patches, rows, cols, features) and (patches, rows', cols', filters)."""
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


def _coherence(grey: Any) -> list[Any]:
    """Return the coherence at each scale; see `clusternet.filters.coherence`."""
    down, across = (_separable(grey, GRADIENT_SCALE, *order) for order in ((1, 0), (0, 1)))
    products = ops.concatenate([down * down, across * across, down * across], axis=-1)
    found = []
    for scale in SCALES:
        smooth = _separable(products, scale, 0, 0)
        rows, cols, both = (smooth[..., i : i + 1] for i in range(3))
        strength = ops.sqrt((cols - rows) ** 2 + 4 * both**2) / (cols + rows + FAINT)
        found.append(_cut(strength, scale, _radius(GRADIENT_SCALE)))
    return found


def _mirrored(tensor: Any, width: int, most: int) -> Any:
    """Mirror a tensor at its border, in steps if it is smaller than ``width``."""
    while width:
        now = min(width, most)
        tensor = ops.pad(tensor, [(0, 0), (now, now), (now, now), (0, 0)], mode="symmetric")
        width -= now
    return tensor


def _cut(tensor: Any, scale: float, also: int = 0) -> Any:
    """Cut off what is left of the mirrored border after a Gaussian of ``scale``."""
    left = BORDER - _radius(scale) - also
    return tensor[:, left:-left, left:-left] if left else tensor


def _separable(tensor: Any, scale: float, rows_order: int, cols_order: int) -> Any:
    """Filter every band by derivatives of a Gaussian; the radius is lost on each side."""
    bands = tensor.shape[-1]
    for axis, order in ((0, rows_order), (1, cols_order)):
        kernel = _gaussian(scale, order)[::-1]  # a convolution, which Keras calls correlation
        kernel = kernel.reshape((-1, 1, 1, 1) if axis == 0 else (1, -1, 1, 1))
        tensor = ops.depthwise_conv(tensor, np.repeat(kernel, bands, axis=2), padding="valid")
    return tensor


def _radius(scale: float) -> int:
    return int(_REACH * scale + 0.5)


def _gaussian(scale: float, order: int) -> FloatArray:
    """Return a derivative of the Gaussian at whole pixels; order 0 sums to 1."""
    at = np.arange(-_radius(scale), _radius(scale) + 1)
    weights = np.exp(-0.5 * (at / scale) ** 2)
    weights /= weights.sum()
    factors = (1, -at / scale**2, (at**2 - scale**2) / scale**4)
    return np.asarray(weights * factors[order], np.float32)
