"""The end of a network, some rows at a time: scores of all clusters are its largest numbers.

Descriptions and scores of all pixels take more memory than all else at that moment. A fourth of
them at a time leaves room for larger windows, of which a smaller part is border.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clusternet.network.backend import channels_last, keras, once_done
from clusternet.network.filter_bank import centred

PIECES = 4


@channels_last()
def in_pieces(model: Any, cut: Sequence[Any]) -> Any:
    """Return a model with the same outputs, which are computed piece by piece after a cut.

    Args:
        model: whose outputs are a dict of (patches, rows, cols), each pixel for itself.
        cut: the symbolic tensors (patches, rows', cols', ...) that all outputs are computed from;
            the first has the size of the outputs, others may have more pixels on each side.
    """
    rest = keras.Model(list(cut), model.output)
    return keras.Model(model.inputs, _Pieces(rest, name="pieces")(list(cut)), name=model.name)


class _Pieces(keras.layers.Layer):  # type: ignore[misc]
    """Applies a model to pieces of its inputs, one after the other, and joins what it returns."""

    def __init__(self, model: Any, **options: Any) -> None:
        """Take a model whose outputs have as many pixels as its first input."""
        super().__init__(autocast=False, **options)
        self._model = model

    def call(self, tensors: list[Any]) -> dict[str, Any]:
        """Return what the model does."""
        ops = keras.ops
        patches, rows, cols = ops.shape(tensors[0])[:3]
        tensors = [tensors[0], *(centred(tensor, rows, cols) for tensor in tensors[1:])]
        # rows of all patches in one axis, the first: pieces of it are no copies
        lines = [ops.reshape(one, (patches * rows, cols, one.shape[-1])) for one in tensors]
        found: list[dict[str, Any]] = []
        for number in range(PIECES):
            first, end = (patches * rows * at // PIECES for at in (number, number + 1))
            with once_done([one["labels"] for one in found[-1:]]):
                found.append(self._model([line[first:end][None] for line in lines]))
        return {
            name: ops.reshape(
                ops.concatenate([one[name] for one in found], axis=1), (patches, rows, cols)
            )
            for name in found[0]
        }

    def compute_output_spec(self, tensors: list[Any]) -> dict[str, Any]:
        """Return the shapes and types of the results."""
        return {
            name: keras.KerasTensor(tensors[0].shape[:3], one.dtype)
            for name, one in self._model.output.items()
        }
