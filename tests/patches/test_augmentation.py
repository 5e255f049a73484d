"""Views of patches: labels go with their pixels, and light changes no label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusternet.patches.augmentation import augment

seeds = st.integers(0, 2**32)
sides = st.integers(1, 7)


def coded(count: int, rows: int, cols: int, bands: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return patches whose pixels are told apart by any light: the label is the rank of the pixel.

    Every band holds the rank, so that a gain and a shift of the band do not change the order.
    """
    labels = np.stack([np.random.default_rng(i).permutation(rows * cols) for i in range(count)])
    labels = labels.reshape(count, rows, cols).astype(np.int32)
    pixels = np.repeat((labels[..., None] - rows * cols / 2 + 0.25) / 8, bands, axis=-1)
    return pixels.astype(np.float32), labels


def ranks(view: np.ndarray) -> np.ndarray:
    """Return the rank of each pixel of a band; (rows, cols) both."""
    return view.ravel().argsort().argsort().reshape(view.shape)


@given(sides, sides, seeds, st.booleans())
def test_labels_go_where_their_pixels_go(rows: int, cols: int, seed: int, turn: bool) -> None:
    pixels, labels = coded(3, rows, cols)
    before = pixels.copy(), labels.copy()
    views, kept = augment(pixels, labels, np.random.default_rng(seed), turn=turn)
    assert (views.shape, views.dtype) == (pixels.shape, np.float32)
    assert (kept.shape, kept.dtype) == (labels.shape, np.int32)
    for view, label in zip(views, kept, strict=True):
        for band in range(2):
            np.testing.assert_array_equal(ranks(view[..., band]), label)
    np.testing.assert_array_equal(before[0], pixels)  # what was given is left alone
    np.testing.assert_array_equal(before[1], labels)


@pytest.mark.parametrize(
    ("shape", "turn", "expected"), [((4, 4), True, 8), ((4, 6), True, 4), ((4, 4), False, 1)]
)
def test_every_direction_comes_as_often(shape: tuple[int, int], turn: bool, expected: int) -> None:
    pixels, labels = (np.repeat(array, 1600, axis=0) for array in coded(1, *shape))
    _, kept = augment(pixels, labels, np.random.default_rng(0), turn=turn)
    found, counts = np.unique(kept.reshape(1600, -1), axis=0, return_counts=True)
    turned = [np.rot90(labels[0], k)[:, ::flip] for k in range(4) for flip in (1, -1)]
    turned = [view for view in turned if view.shape == shape] if turn else [labels[0]]
    assert {tuple(row) for row in found} == {tuple(view.ravel()) for view in turned}
    assert len(found) == expected
    assert counts.min() > 0.8 * 1600 / expected


def test_patches_of_a_batch_are_turned_and_lit_each_for_itself() -> None:
    pixels, labels = (np.repeat(array, 40, axis=0) for array in coded(1, 5, 5))
    views, kept = augment(pixels, labels, np.random.default_rng(0), turn=True)
    assert len(np.unique(kept.reshape(40, -1), axis=0)) == 8
    assert len(np.unique(views.sum(axis=(1, 2, 3)))) == 40


def test_light_is_a_gain_and_a_shift_of_each_band() -> None:
    pixels, labels = coded(1, 8, 8, bands=3)
    views, kept = augment(pixels, labels, np.random.default_rng(1), turn=False)
    np.testing.assert_array_equal(kept, labels)
    for band in range(3):
        before, after = pixels[0, ..., band].ravel(), views[0, ..., band].ravel()
        gain, shift = np.polyfit(before, after, 1)
        np.testing.assert_allclose(gain * before + shift, after, atol=1e-5)
        assert 0.4 < gain < 2.5 and abs(shift) < 1.5


def test_light_changes_about_a_fifth_and_bands_less_among_themselves() -> None:
    count = 4000
    pixels = np.tile(np.array([1, 2], np.float32)[:, None, None], (count, 1, 1, 2))
    views, _ = augment(pixels, np.zeros((count, 2, 1), int), np.random.default_rng(2), turn=False)
    gains = np.log(views[:, 1, 0] - views[:, 0, 0])  # (patches, bands)
    shifts = 2 * views[:, 0, 0] - views[:, 1, 0]
    for values, shared, own in ((gains, 0.2, 0.1), (shifts, 0.2, 0.1)):
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=0.015)
        np.testing.assert_allclose(np.cov(values.T)[0, 1], shared**2, rtol=0.15)
        np.testing.assert_allclose((values[:, 0] - values[:, 1]).std(), own * 2**0.5, rtol=0.1)
    # brightness and contrast do not go together
    assert np.abs(np.corrcoef(gains.T, shifts.T)[:2, 2:]).max() < 0.06


@given(seeds)
def test_pixels_without_data_stay_the_mean(seed: int) -> None:
    pixels, labels = coded(2, 6, 6)
    blank = np.random.default_rng(seed).random((2, 6, 6)) < 0.3
    pixels[blank] = 0
    labels[blank] = -1
    views, kept = augment(pixels, labels, np.random.default_rng(seed), turn=True)
    np.testing.assert_array_equal((views == 0).all(axis=-1), kept == -1)
    assert np.isfinite(views).all()


def test_a_pixel_that_is_0_in_one_band_is_no_pixel_without_data() -> None:
    pixels = np.array([[[[0.0, 1.0]]]], np.float32)
    views, _ = augment(pixels, np.zeros((1, 1, 1), int), np.random.default_rng(0), turn=False)
    assert views[0, 0, 0, 0] != 0


@given(seeds)
def test_the_same_random_numbers_give_the_same_views(seed: int) -> None:
    batch = coded(2, 5, 5)
    one, other = (augment(*batch, np.random.default_rng(seed), turn=True) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
