"""The layer of fixed filters against SciPy, and beside the features of a network."""

from __future__ import annotations

import numpy as np
import pytest
from reference_filters import fixed_filters

from clusternet.network.backend import keras
from clusternet.network.filter_bank import (
    BORDER,
    SCALES,
    CropAndConcatenate,
    FilterBank,
    num_filters,
)
from clusternet.network.planes import filtered_down


def described(pixels: np.ndarray) -> np.ndarray:
    """Return the fixed filters of (rows, cols, bands)."""
    return np.asarray(FilterBank(pixels.shape[:2])(pixels[None]))[0]


def stripes(angle: float) -> np.ndarray:
    rows, cols = np.mgrid[:96, :96]
    wave = np.sin((np.cos(angle) * cols + np.sin(angle) * rows) * 0.8)
    return np.repeat(wave[..., None], 3, axis=-1).astype(np.float32)


@pytest.mark.parametrize("bands", [1, 3, 9])  # few are filtered plane by plane
def test_the_layer_computes_the_filters(bands: int) -> None:
    pixels = np.random.default_rng(1).normal(size=(96, 112, bands)).astype(np.float32)
    found, wanted = described(pixels), fixed_filters(pixels)
    assert found.shape == wanted.shape == (96, 112, num_filters(bands))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., :-3], wanted[..., :-3], atol=2e-5)
    inner = slice(BORDER, -BORDER)  # coherence mirrors gradients the other way round
    np.testing.assert_allclose(found[inner, inner], wanted[inner, inner], atol=2e-5)


@pytest.mark.parametrize("bands", [3, 9])
def test_filters_without_a_mirror_are_those_within_the_border(bands: int) -> None:
    pixels = np.random.default_rng(1).normal(size=(1, 96, 112, bands)).astype(np.float32)
    inner = np.asarray(FilterBank((96, 112), mirror=False)(pixels))[0]
    np.testing.assert_array_equal(inner, described(pixels[0])[BORDER:-BORDER, BORDER:-BORDER])


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_planes_are_filtered_from_top_to_bottom(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    planes = np.random.default_rng(1).normal(size=(2, 3, 12, 7)).astype(np.float32)
    kernel = np.array([1, 2, -4], np.float32)
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)  # each has a quick way
    found = np.asarray(filtered_down(planes, kernel))
    wanted = planes[..., 2:, :] + 2 * planes[..., 1:-1, :] - 4 * planes[..., :-2, :]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_model_takes_larger_patches_than_it_was_made_for() -> None:
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, FilterBank((40, 40))(inputs))
    pixels = np.random.default_rng(1).normal(size=(56, 72, 3)).astype(np.float32)
    found = np.asarray(model.predict_on_batch(pixels[None]))[0]
    np.testing.assert_allclose(found, described(pixels), atol=1e-5)


def test_patches_smaller_than_the_filters_are_mirrored_in_steps() -> None:
    pixels = np.random.default_rng(1).normal(size=(16, 16, 2)).astype(np.float32)
    found = described(pixels)
    assert found.shape == (16, 16, num_filters(2)) and np.isfinite(found).all()
    np.testing.assert_array_equal(found[..., :2], pixels)


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 2, 2.5])
def test_stripes_have_one_direction_whichever_it_is(angle: float) -> None:
    coherence = described(stripes(angle))[30:-30, 30:-30, -len(SCALES) :]
    assert coherence[..., 1:].min() > 0.85


def test_noise_and_plain_ground_have_none() -> None:
    noise = np.random.default_rng(1).normal(size=(96, 96, 3)).astype(np.float32)
    assert described(noise)[..., -1].mean() < 0.25
    plain = described(np.full((96, 96, 3), 2, np.float32))
    np.testing.assert_allclose(plain[..., -len(SCALES) :], 0, atol=1e-6)


def test_filters_turn_with_the_image() -> None:
    pixels = np.random.default_rng(2).normal(size=(64, 64, 2)).astype(np.float32)
    turned, straight = described(np.rot90(pixels).copy()), described(pixels)
    np.testing.assert_allclose(turned, np.rot90(straight), atol=1e-4)


def test_filters_are_cut_to_the_centre_with_odd_pixels_at_the_top_and_left() -> None:
    filters = np.arange(7 * 8).reshape(1, 7, 8, 1).astype(np.float32)
    found = CropAndConcatenate()([np.zeros((1, 4, 4, 2), np.float32), filters])
    np.testing.assert_array_equal(np.asarray(found)[0, ..., 2], filters[0, 2:6, 2:6, 0])
