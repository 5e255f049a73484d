"""The network on a grid of pixels: every n-th row and column of a patch, from any start.

Pixels beside each other tell training nearly the same. The last convolution of the network, the
head, the loss and the codebook take half the time of training. On a grid they see one pixel in
n x n. Each quarter of a patch has a start of its own: the network treats odd and even rows and
columns differently, so that a step should see all kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from clusternet.network.backend import channels_last, keras
from clusternet.types import AnyArray, IntArray

ops = keras.ops

QUARTERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Rows and columns of the quarters of a patch."""


def grid_size(size: int, step: int) -> int:
    """Return the rows (or columns) of the grid in a quarter of a patch of ``size`` pixels."""
    return size // (2 * step)


def on_grid(array: AnyArray, starts: IntArray, step: int) -> AnyArray:
    """Return the pixels of patches on their grids.

    Args:
        array: (patches, rows, cols).
        starts: (patches, 4, 2) first row and column in each of `QUARTERS`, below ``step``.
        step: rows and columns from one to the next.

    Returns:
        (patches * 4, grid rows, grid cols), see `grid_size`.
    """
    sides = tuple(grid_size(size, step) for size in array.shape[1:])
    found = np.empty((len(array) * len(QUARTERS), *sides), array.dtype)
    for number, (patch, rows, cols) in enumerate(_places(starts, sides, step)):
        found[number] = array[patch, rows, cols]
    return found


def off_grid(
    values: AnyArray, starts: IntArray, step: int, shape: tuple[int, ...], fill: int
) -> AnyArray:
    """Put what `on_grid` returned back into (patches, rows, cols), with ``fill`` elsewhere."""
    array = np.full(shape, fill, values.dtype)
    for number, (patch, rows, cols) in enumerate(_places(starts, values.shape[1:], step)):
        array[patch, rows, cols] = values[number]
    return array


def _places(
    starts: IntArray, sides: tuple[int, ...], step: int
) -> Iterator[tuple[int, slice, slice]]:
    rows, cols = (side * step for side in sides)
    for patch, quarters in enumerate(starts.tolist()):
        for (down, across), (row, col) in zip(QUARTERS, quarters, strict=True):
            top, left = down * rows + row, across * cols + col
            yield patch, slice(top, top + rows, step), slice(left, left + cols, step)


def grid_starts(labels: IntArray, step: int) -> IntArray:
    """Return the starts (patches, 4, 2) of the grids that the first labels of quarters lie on.

    Args:
        labels: (patches, rows, cols), negative for none.
        step: of the grids.
    """
    rows, cols = (grid_size(size, step) * step for size in labels.shape[1:])
    starts = np.zeros((len(labels), len(QUARTERS), 2), np.int32)
    for number, (down, across) in enumerate(QUARTERS):
        top, left = down * rows, across * cols
        known = labels[:, top : top + rows, left : left + cols] >= 0
        first = known.reshape(len(labels), -1).argmax(axis=1)  # 0 where there is none
        starts[:, number] = np.stack(np.unravel_index(first, (rows, cols)), axis=-1) % step
    return starts


@channels_last()
def build_grid_trainer(network: Any, step: int, patches: int) -> Any:
    """Return a model of the logits on a grid; it has the weights of a network.

    Args:
        network: see `clusternet.network.unet.build_network`.
        step: of the grid.
        patches: of a batch.

    Input shape:
        (patches, rows, cols, bands), and (patches, 4, 2) int32 starts of the grids.

    Output shape:
        (patches * 4, grid rows, grid cols, clusters), as of `on_grid`.
    """
    last, starts = network.get_layer("up0_conv2"), _starts()
    head = _GridScores(last, step, patches, network.get_layer("logits"), name="grid_scores")
    return keras.Model([network.input, starts], head([last.input, starts]), name="grid_trainer")


def _starts() -> Any:
    return keras.Input((len(QUARTERS), 2), dtype="int32", name="starts")


@channels_last()
def grid_description(network: Any, beside: list[Any], step: int, patches: int) -> tuple[Any, Any]:
    """Return the starts of a grid, an input, and the description of its pixels.

    Args:
        network: see `clusternet.network.unet.build_network`.
        beside: symbolic (patches, rows, cols, depth) of what is described beside the features.
        step: of the grid.
        patches: of a batch.
    """
    last, starts = network.get_layer("up0_conv2"), _starts()
    layer = _GridDescription(last, step, patches, name="grid_description")
    return starts, layer([last.input, starts, *beside])


class _GridDescription(keras.layers.Layer):  # type: ignore[misc]
    """The features of a network on a grid, and what stands beside them.

    The last convolution skips pixels by strides, so that nothing is computed for those left out.
    """

    def __init__(self, convolution: Any, step: int, patches: int, **options: Any) -> None:
        """Take the last convolution, whose weights are used."""
        super().__init__(dtype=convolution.dtype_policy, autocast=False, **options)
        self._convolution, self._step, self._patches = convolution, step, patches

    def call(self, tensors: list[Any]) -> Any:
        """Return (patches * 4, grid rows, grid cols, features) float32."""
        tensor, starts, *beside = tensors
        if self._convolution.padding == "same":
            tensor = ops.pad(tensor, [(0, 0), (1, 1), (1, 1), (0, 0)])
        shape = [size - 2 for size in ops.shape(tensor)[1:3]]
        found = [self._features(self._cut(tensor, starts, shape))]
        found += [self._chosen(one, starts, shape) for one in beside]
        return ops.concatenate(found, axis=-1)

    def _features(self, tensor: Any) -> Any:
        kernel, bias = (ops.cast(one, tensor.dtype) for one in self._convolution.weights)
        found = ops.conv(tensor, kernel, strides=self._step, padding="valid")
        return ops.relu(ops.cast(ops.add(found, ops.reshape(bias, (1, 1, 1, -1))), "float32"))

    def _cut(self, tensor: Any, starts: Any, shape: list[Any]) -> Any:
        """Return the pixels that a 3x3 convolution with strides needs for the grids."""
        rows, cols = (grid_size(size, self._step) * self._step for size in shape)
        size = [1, rows - self._step + 3, cols - self._step + 3, tensor.shape[-1]]
        parts = []
        # patch by patch, since the gradient of each cut has the size of what it was cut from
        for number, patch in enumerate(ops.split(tensor, self._patches, axis=0)):
            for quarter, (down, across) in enumerate(QUARTERS):
                row, col = starts[number, quarter, 0], starts[number, quarter, 1]
                corner = [0, down * rows + row, across * cols + col, 0]
                parts.append(ops.slice(patch, corner, size))
        return ops.concatenate(parts, axis=0)

    def _chosen(self, tensor: Any, starts: Any, shape: list[Any]) -> Any:
        """Return the pixels on the grids, of a tensor that may have more of them on each side."""
        sides = [grid_size(size, self._step) for size in shape]
        whole = ops.shape(tensor)[1:3]
        places = []
        for axis, side in enumerate(sides):
            quarter = ops.convert_to_tensor([pair[axis] for pair in QUARTERS], "int32")
            before = (whole[axis] - shape[axis] + 1) // 2  # as with `centred`
            first = before + quarter * (side * self._step) + starts[..., axis]
            places.append(first[..., None] + self._step * ops.arange(side, dtype="int32"))
        patch = ops.arange(self._patches, dtype="int32")[:, None, None]
        rows = patch * whole[0] + places[0]
        chosen = ops.expand_dims(rows * whole[1], -1) + ops.expand_dims(places[1], -2)
        depth = tensor.shape[-1]
        found = ops.take(ops.reshape(tensor, (-1, depth)), ops.reshape(chosen, (-1,)), axis=0)
        return ops.reshape(found, (self._patches * len(QUARTERS), *sides, depth))

    def compute_output_spec(self, tensors: list[Any]) -> Any:
        """Return the shape of the result."""
        depth = self._convolution.filters + sum(one.shape[-1] for one in tensors[2:])
        return keras.KerasTensor((self._patches * len(QUARTERS), None, None, depth), "float32")


class _GridScores(_GridDescription):
    """The scores of a head for what is described on a grid."""

    def __init__(
        self, convolution: Any, step: int, patches: int, head: Any, **options: Any
    ) -> None:
        """Take the last convolution and the head, whose weights are used."""
        super().__init__(convolution, step, patches, **options)
        self._head = head

    def call(self, tensors: list[Any]) -> Any:
        """Return (patches * 4, grid rows, grid cols, clusters) float32."""
        return self._head(super().call(tensors))

    def compute_output_spec(self, tensors: list[Any]) -> Any:
        """Return the shape of the result."""
        return keras.KerasTensor(
            (self._patches * len(QUARTERS), None, None, self._head.filters), "float32"
        )
