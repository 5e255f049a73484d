"""Gradients as numbers: what a training step would do, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clusternet.network.backend import keras
from clusternet.types import AnyArray, FloatArray


class GradientSums(keras.optimizers.Optimizer):  # type: ignore[misc]
    """Stands where a model has its optimizer: adds up gradients, and leaves the weights alone.

    So Keras computes gradients as in any training, with every backend, and they can be fetched.
    """

    def __init__(self) -> None:
        """Start without any gradient."""
        super().__init__(learning_rate=0.0)

    def build(self, variables: list[Any]) -> None:
        """Make a sum for each weight."""
        if not self.built:
            super().build(variables)
            self._sums = [self.add_variable_from_reference(one, name="sum") for one in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Add the gradient of one weight."""
        self.assign_add(self._sums[self._get_variable_index(variable)], gradient)

    def take(self) -> FloatArray:
        """Return the sums of all weights in a row, (numbers,), and start again at zero."""
        vector = np.concatenate(
            [keras.ops.convert_to_numpy(one).ravel() for one in self._sums], dtype=np.float32
        )
        for one in self._sums:
            one.assign(keras.ops.zeros(one.shape, one.dtype))
        return vector


def apply_gradients(optimizer: Any, vector: FloatArray, weights: Sequence[Any]) -> None:
    """Take the step of an optimizer.

    Args:
        optimizer: that was built for ``weights``.
        vector: (numbers,) gradients of all weights in a row.
        weights: Keras' variables.
    """
    gradients: list[AnyArray] = []
    start = 0
    for weight in weights:
        size = int(np.prod(weight.shape))
        part = vector[start : start + size].reshape(weight.shape)
        gradients.append(keras.ops.convert_to_tensor(part, weight.dtype))
        start += size
    optimizer.apply(gradients, weights)
