"""The end of a network piece by piece gives what it gives at once."""

from __future__ import annotations

import numpy as np
import pytest

from clusternet.network.backend import keras
from clusternet.network.pieces import PIECES, in_pieces
from clusternet.network.unet import argmax


@pytest.mark.parametrize("shape", [(1, 9, 5), (2, 3, 7), (1, 1, 4)])  # also fewer rows than pieces
def test_pieces_are_put_together_in_order(shape: tuple[int, int, int]) -> None:
    ops = keras.ops
    first, second = (keras.Input((None, None, 2)) for _ in range(2))
    double = keras.layers.Rescaling(2.0)(first)
    centre = keras.layers.Cropping2D(((1, 0), (1, 0)))(second)
    joined = keras.layers.Concatenate()([double, centre])
    outputs = {"labels": argmax(joined), "confidence": ops.sum(joined, axis=-1)}
    rng = np.random.default_rng(0)
    small = rng.normal(size=(*shape, 2)).astype(np.float32)
    large = rng.normal(size=(shape[0], shape[1] + 1, shape[2] + 1, 2)).astype(np.float32)
    whole = keras.Model([first, second], outputs)
    wanted = whole([small, large])
    # in pieces, what is joined must have one size: the crop comes first
    same = keras.Input((None, None, 2))
    joined = keras.layers.Concatenate()([double, same])
    outputs = {"labels": argmax(joined), "confidence": ops.sum(joined, axis=-1)}
    model = in_pieces(keras.Model([first, same], outputs), [double, same])
    found = model.predict_on_batch([small, large])
    assert PIECES > 1 and set(found) == {"labels", "confidence"}
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], np.asarray(value), err_msg=name)
        assert found[name].shape == shape
