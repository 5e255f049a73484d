"""Any raster becomes RGB from 0 to 255, in the same way in training and afterwards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clusternet.backbone.stretch import Stretch, choose_bands
from clusternet.errors import SettingsError
from clusternet.patches.bands import Bands
from clusternet.raster.band_identity import BandIdentity

BANDS = Bands(4, "uint16", None, (3000.0, 900.0, 500.0, 40.0), (1000.0, 50.0, 20.0, 3.0), (32, 32))


def standardised(pixels: np.ndarray) -> np.ndarray:
    return BANDS.standardise(pixels, np.ones(pixels.shape[:-1], bool))


def test_percentiles_become_0_and_255_and_what_is_beyond_is_cut() -> None:
    raster = np.tile(np.arange(101.0)[:, None], (1, 4)) * [10, 1, 1, 1] + [2000, 850, 450, 0]
    stretch = Stretch.fit(standardised(raster), (3, 2, 1), BANDS)
    np.testing.assert_allclose(stretch.low, [451, 851, 2010], rtol=1e-5)
    np.testing.assert_allclose(stretch.high, [549, 949, 2990], rtol=1e-5)
    rgb = stretch.rgb(standardised(raster)[None], BANDS)[0]
    expected = np.clip((np.arange(101.0) - 1) / 98 * 255, 0, 255)
    np.testing.assert_allclose(rgb, np.tile(expected[:, None], (1, 3)), atol=0.02)


def test_a_band_with_few_values_is_stretched_too() -> None:
    pixels = np.zeros((1000, 4), np.float32)
    pixels[0, 1] = 3  # below the 99th percentile
    stretch = Stretch.fit(pixels, (1, 2, 2), BANDS)
    rgb = stretch.rgb(pixels, BANDS)
    assert rgb[:, 0].max() == 0 and rgb[0, 1] == 255 and rgb[1, 1] == 0


def test_bands_are_those_named_else_those_called_so_else_the_first() -> None:
    called = replace(BANDS, identity=BandIdentity(colours=("blue", "green", "red", "nir")))
    assert choose_bands((4, 3, 2), called) == (4, 3, 2)
    assert choose_bands(None, called) == (3, 2, 1)
    assert choose_bands(None, BANDS) == (1, 2, 3)
    assert choose_bands(None, replace(BANDS, num_bands=2, mean=(0, 0), std=(1, 1))) == (1, 1, 1)
    with pytest.raises(SettingsError, match=r"three bands from 1 to 4, received 5 2 1"):
        choose_bands((5, 2, 1), BANDS)
