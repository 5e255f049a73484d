"""The layer of fixed filters against SciPy, and beside the features of a network."""

from __future__ import annotations

import numpy as np
import pytest

from clusternet.backend import keras
from clusternet.filter_bank import BesideCentre, FilterBank
from clusternet.filters import BORDER, fixed_filters, num_filters


@pytest.mark.parametrize("bands", [1, 3, 7])
def test_the_layer_computes_the_filters(bands: int) -> None:
    pixels = np.random.default_rng(1).normal(size=(96, 112, bands)).astype(np.float32)
    inputs = keras.Input((None, None, bands))
    layer = keras.Model(inputs, FilterBank((96, 112))(inputs))
    found, wanted = np.asarray(layer.predict_on_batch(pixels[None]))[0], fixed_filters(pixels)
    assert found.shape == wanted.shape == (96, 112, num_filters(bands))
    np.testing.assert_allclose(found[..., :-3], wanted[..., :-3], atol=2e-5)
    inner = slice(BORDER, -BORDER)  # coherence mirrors gradients the other way round
    np.testing.assert_allclose(found[inner, inner], wanted[inner, inner], atol=2e-5)


def test_patches_smaller_than_the_filters_are_mirrored_in_steps() -> None:
    pixels = np.random.default_rng(1).normal(size=(16, 16, 2)).astype(np.float32)
    inputs = keras.Input((None, None, 2))
    layer = keras.Model(inputs, FilterBank((16, 16))(inputs))
    found = np.asarray(layer.predict_on_batch(pixels[None]))[0]
    assert found.shape == (16, 16, num_filters(2)) and np.isfinite(found).all()
    np.testing.assert_array_equal(found[..., :2], pixels)


def test_filters_are_cut_to_the_centre_with_odd_pixels_at_the_top_and_left() -> None:
    filters = np.arange(7 * 8).reshape(1, 7, 8, 1).astype(np.float32)
    found = BesideCentre()([np.zeros((1, 4, 4, 2), np.float32), filters])
    np.testing.assert_array_equal(np.asarray(found)[0, ..., 2], filters[0, 2:6, 2:6, 0])
