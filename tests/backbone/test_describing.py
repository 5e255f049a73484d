"""The features of a pixel are those of its surroundings, whatever window is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tiny_backbones import (
    BANDS_OF_RGB,
    opened_network,
    pooled_inside,
    reduction_of,
    transformer,
    two_levels,
    unpadded,
)

from clusternet.backbone.describing import Describer
from clusternet.backbone.loading import enlarged
from clusternet.backbone.measuring import measure
from clusternet.backbone.placing import blending_weights, fixed_windows, mirrored, patch_window
from clusternet.backbone.sampling import sample_levels
from clusternet.errors import SettingsError
from clusternet.patches.bands import Bands
from clusternet.windows import Window

BANDS = Bands(3, "uint8", None, (100.0,) * 3, (50.0,) * 3, (32, 32))


def twice_as_large() -> Any:
    return enlarged(two_levels(), 2, "tiny", SettingsError)


NETWORKS = (two_levels, unpadded, pooled_inside, transformer, twice_as_large)


@pytest.fixture(scope="module")
def describers() -> dict[Callable[[], Any], tuple[Any, Describer]]:
    found = {}
    for make in NETWORKS:
        network = opened_network(make())
        geometry = measure(network, "tiny")
        reduction = reduction_of([level.depth for level in geometry.levels])
        found[make] = network, Describer(network, geometry, BANDS_OF_RGB, BANDS, reduction)
    return found


def image(rows: int, cols: int) -> np.ndarray:
    rng = np.random.default_rng(rows + cols)
    smooth = rng.normal(size=(rows // 8 + 1, cols // 8 + 1, 3)).repeat(8, 0).repeat(8, 1)
    return (smooth[:rows, :cols] + rng.normal(0, 0.3, (rows, cols, 3))).astype(np.float32)


@pytest.mark.parametrize("make", NETWORKS)
def test_any_area_of_an_image_gets_the_same_features(make: Any, describers: Any) -> None:
    describer = describers[make][1]
    pixels = image(200, 232)
    found = np.full((200, 232, describer.num_features), np.nan, np.float32)
    whole = Window(80, 80, 40, 56)
    for row in range(80, 120, 24):
        for col in range(80, 136, 24):
            area = Window(row, col, 24, 24)
            window = describer.read_window(area)
            part = pixels[window.slices()]
            assert part.shape[:2] == window.shape  # the image is large enough for all of them
            found[area.slices()] = describer.describe(part, window, area)
    window = describer.read_window(whole)
    expected = describer.describe(pixels[window.slices()], window, whole)
    np.testing.assert_allclose(found[whole.slices()], expected, atol=1e-5)
    assert expected.std(axis=(0, 1)).min() > 1e-3


@pytest.mark.parametrize("make", [two_levels, unpadded, pooled_inside, twice_as_large])
def test_features_are_the_upsampled_levels_reduced(make: Any, describers: Any) -> None:
    network, describer = describers[make]
    patch = image(48, 64)
    area = Window(0, 0, 48, 64)
    window = patch_window(describer.geometry, area)
    rgb = BANDS_OF_RGB.rgb(mirrored(patch[None], window)[0], BANDS)
    rows, cols = (places.ravel() for places in np.mgrid[:48, :64].astype(np.int32))
    levels = sample_levels(network, describer.geometry, rgb, window, rows, cols)
    reduced = (levels - describer.reduction.offset) @ describer.reduction.projection
    found = describer.describe_patches(np.stack([patch, patch[::-1]]))
    assert found.shape == (2, 48, 64, describer.num_features)
    np.testing.assert_allclose(found[0].reshape(len(rows), -1), reduced, atol=1e-4)


def test_samples_of_fixed_windows_are_near_the_mixed_features(describers: Any) -> None:
    network, describer = describers[transformer]
    patch, area = image(40, 40), Window(0, 0, 40, 40)
    window = patch_window(describer.geometry, area)
    rgb = BANDS_OF_RGB.rgb(mirrored(patch[None], window)[0], BANDS)
    rows, cols = np.array([2, 9, 30], np.int32), np.array([12, 3, 12], np.int32)
    levels = sample_levels(network, describer.geometry, rgb, window, rows, cols)
    reduced = (levels - describer.reduction.offset) @ describer.reduction.projection
    # none of these pixels is where two windows overlap: there a sample is of one of them
    found = describer.describe_patches(patch[None])[0, rows, cols]
    np.testing.assert_allclose(found, reduced, atol=1e-4)


def test_weights_of_fixed_windows_sum_to_one() -> None:
    for size in (8, 13, 32):
        area = Window(-3, 40, 50, 70)
        total = np.zeros(200)
        rows, cols = fixed_windows(area, (size, size))
        for places in cols:
            total[places.start : places.stop] += (
                blending_weights(size)[-places.start :][:size]
                if (places.start < 0)
                else blending_weights(size)
            )
        np.testing.assert_allclose(total[40:110], 1, atol=1e-6)
        assert rows[0].start <= -3 and rows[-1].stop >= 47
