"""Fixed filters on images whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from clusternet.filters import SCALES, coherence, filter_features, fixed_filters


def stripes(angle: float) -> np.ndarray:
    rows, cols = np.mgrid[:96, :96]
    wave = np.sin((np.cos(angle) * cols + np.sin(angle) * rows) * 0.8)
    return np.repeat(wave[..., None], 3, axis=-1).astype(np.float32)


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 2, 2.5])
def test_stripes_have_one_direction_whichever_it_is(angle: float) -> None:
    middle = coherence(stripes(angle))[30:-30, 30:-30]
    assert middle[..., 1:].min() > 0.85


def test_noise_and_plain_ground_have_none() -> None:
    noise = np.random.default_rng(1).normal(size=(96, 96, 3)).astype(np.float32)
    assert coherence(noise)[..., -1].mean() < 0.25
    assert (coherence(np.full((96, 96, 3), 2, np.float32)) == 0).all()


def test_the_fixed_filters_are_texture_and_coherence() -> None:
    pixels = np.random.default_rng(1).normal(size=(40, 50, 4)).astype(np.float32)
    filters = filter_features(pixels)
    assert filters.shape == (40, 50, 4 + len(SCALES) * 7)
    found = fixed_filters(pixels)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[..., : filters.shape[-1]], filters)
    np.testing.assert_array_equal(found[..., filters.shape[-1] :], coherence(pixels))


def test_filters_turn_with_the_image() -> None:
    pixels = np.random.default_rng(2).normal(size=(64, 64, 2)).astype(np.float32)
    turned = fixed_filters(np.rot90(pixels))
    np.testing.assert_allclose(turned, np.rot90(fixed_filters(pixels)), atol=1e-4)
