"""Gradients as numbers: what a training step would do, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clusternet.network.backend import compiled, keras
from clusternet.types import FloatArray


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


class Steps:
    """The steps of an optimizer, whose gradients come as numbers."""

    def __init__(self, optimizer: Any, weights: Sequence[Any]) -> None:
        """Take an optimizer and Keras' variables that it moves."""
        self.optimizer, self._weights = optimizer, list(weights)
        optimizer.build(self._weights)
        # one by one, the operations of a step would take fifteen times as long
        self._apply = compiled(self._apply_tensors)

    def _apply_tensors(self, *gradients: Any) -> None:
        self.optimizer.apply(list(gradients), self._weights)

    def take(self, vector: FloatArray) -> None:
        """Take one step down (numbers,) gradients of all weights in a row."""
        ends = np.cumsum([int(np.prod(weight.shape)) for weight in self._weights])
        parts = np.split(vector, ends[:-1])
        self._apply(
            *(
                keras.ops.convert_to_tensor(part.reshape(weight.shape), weight.dtype)
                for part, weight in zip(parts, self._weights, strict=True)
            )
        )
