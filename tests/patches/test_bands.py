"""Band statistics: streaming equals all at once, and files give back what was saved."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clusternet.errors import RunError
from clusternet.patches.bands import BandMoments, Bands

BANDS = Bands(2, "int16", -9999.0, (12.5, -3.0), (4.0, 1.0), (64, 48))

images = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.integers(1, 6), st.just(3)),
    elements=st.floats(-1e6, 1e6, width=32),
)


@given(images, st.lists(st.integers(0, 40), max_size=6), st.integers(0, 2**32))
def test_any_split_gives_the_moments_of_the_whole(image, cuts, noise) -> None:
    valid = np.random.default_rng(noise).random(image.shape[:2]) < 0.7
    moments = BandMoments(3)
    places = sorted(cuts)
    for pixels, usable in zip(np.split(image, places), np.split(valid, places), strict=True):
        moments.add(pixels, usable)
    values = image[valid].astype(float)
    assert moments.count == len(values)
    if len(values):
        scale = np.abs(values).max() + 1
        np.testing.assert_allclose(moments.mean, values.mean(axis=0), atol=1e-12 * scale)
        np.testing.assert_allclose(moments.std, values.std(axis=0), atol=1e-7 * scale)


def test_a_large_offset_does_not_spoil_the_deviation() -> None:
    noise = np.random.default_rng(0).normal(size=(10, 50, 50, 1))
    moments = BandMoments(1)
    for pixels in noise + 1e7:
        moments.add(pixels, np.ones((50, 50), bool))
    np.testing.assert_allclose(moments.std, noise.std(), rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "offset", "step"),
    [("int32", 2_000_000_000, 1), ("uint32", 4_000_000_000, 1), ("int64", 2**52, 1),
     ("float64", 1e9, 1e-5), ("float64", -1e12, 1e-2), ("float32", 1e7, 1)],
)  # fmt: skip
def test_large_numbers_that_differ_by_little_are_standardised_as_small_ones(
    dtype: str, offset: float, step: float
) -> None:
    base = np.random.default_rng(0).integers(0, 60, (6, 20, 20, 2))
    pixels = (np.asarray(offset, dtype) + (base * step).astype(dtype)).astype(dtype)
    moments, valid = BandMoments(2), np.ones((20, 20), bool)
    for patch in pixels:
        moments.add(patch, valid)
    np.testing.assert_allclose(moments.std, base.std((0, 1, 2)) * step, rtol=2e-3)
    bands = Bands(2, dtype, None, moments.mean, moments.std, (20, 20))
    expected = (base - base.mean((0, 1, 2))) / base.std((0, 1, 2))
    scaled = bands.standardise(pixels, np.ones(pixels.shape[:3], bool))
    np.testing.assert_allclose(scaled, expected, atol=0.02)


def test_no_pixel_and_equal_pixels_deviate_by_nothing() -> None:
    moments = BandMoments(1)
    assert moments.std == (0.0,)
    for _ in range(3):
        moments.add(np.full((4, 4, 1), 7, np.uint8), np.ones((4, 4), bool))
    assert (moments.mean, moments.std) == ((7.0,), (0.0,))


def test_standardised_pixels_have_mean_0_and_deviation_1() -> None:
    pixels = np.random.default_rng(0).normal((50, -7), (9, 0.1), (64, 64, 2)).astype(np.float32)
    mean, std = (tuple(map(float, values)) for values in (pixels.mean((0, 1)), pixels.std((0, 1))))
    bands = Bands(2, "float32", None, mean, std, (64, 64))
    scaled = bands.standardise(pixels, np.ones((64, 64), bool))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std((0, 1)), 1, atol=1e-4)


def test_pixels_without_data_become_the_mean() -> None:
    pixels = np.array([[[-9999, np.nan]], [[16.5, -2.0]]], np.float32)
    scaled = BANDS.standardise(pixels, np.array([[False], [True]]))
    np.testing.assert_array_equal(scaled, [[[0, 0]], [[1, 1]]])


def test_what_is_absurdly_far_stays_finite() -> None:
    bands = Bands(1, "float64", None, (0.0,), (1e-300,), (1, 3))
    scaled = bands.standardise(np.array([[[1e300], [-1e-290], [0]]]), np.ones((1, 3), bool))
    assert scaled[0, :, 0].tolist() == [1e6, -1e6, 0]


@pytest.mark.parametrize("nodata", [None, 0.0, -3.4028234663852886e38, math.inf, math.nan])
def test_a_saved_file_gives_the_same_back(tmp_path: Path, nodata: float | None) -> None:
    bands = Bands(1, "float32", nodata, (0.1 + 0.2,), (1e-30,), (3, 4))
    bands.save(tmp_path / "bands.json", versions={"numpy": "2"})
    loaded = Bands.load(tmp_path / "bands.json")
    assert repr(loaded) == repr(bands)  # repr, because NaN differs from itself


def test_the_file_is_json_that_others_read(tmp_path: Path) -> None:
    Bands(1, "float32", math.inf, (0.5,), (1.0,), (3, 4)).save(tmp_path / "bands.json")

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    json.loads((tmp_path / "bands.json").read_text(), parse_constant=refuse)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"num_bands": 1}', "\x00\x01", '{"patch_shape": [1]}']
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "bands.json").write_text(text)
    with pytest.raises(RunError, match=r"bands\.json: is (not the bands\.json of a run|no JSON)"):
        Bands.load(tmp_path / "bands.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"bands\.json: missing; is .* a run folder\?"):
        Bands.load(tmp_path / "bands.json")
