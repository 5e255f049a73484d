"""Strides, reach and step are those of the network: windows cut by them give the same maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tiny_backbones import (
    opened_network,
    pooled_inside,
    squeezed,
    transformer,
    two_levels,
    unpadded,
)

from clusternet.backbone.geometry import Geometry, Level
from clusternet.backbone.measuring import SIDES, measure
from clusternet.errors import SettingsError
from clusternet.network.backend import keras

Make = Callable[[], Any]


@pytest.mark.parametrize(
    ("make", "levels", "step"),
    [
        (two_levels, [(4, 2, 0), (6, 8, 0)], 8),
        (unpadded, [(5, 4, 8)], 4),
        (pooled_inside, [(8, 2, 0)], 16),
    ],
)
def test_strides_and_step_are_found(make: Make, levels: list[Any], step: int) -> None:
    found = measure(opened_network(make()), "tiny")
    assert found.levels == tuple(Level(*level) for level in levels)
    assert (found.step, found.window) == (step, None)


@pytest.mark.parametrize("make", [two_levels, unpadded, pooled_inside])
def test_a_window_with_the_margin_gives_the_maps_of_the_image(make: Make) -> None:
    network = opened_network(make())
    found = measure(network, "tiny")
    image = np.random.default_rng(0).uniform(0, 255, (1, 128, 128, 3)).astype(np.float32)
    assert found.margin is not None
    start = 2 * found.step if found.step > 8 else 32
    maps = keras.tree.flatten(network(image))
    parts = keras.tree.flatten(network(image[:, start:112, start:112]))
    for level, one, part in zip(found.levels, maps, parts, strict=True):
        border = -(-found.margin // int(level.stride))
        first = start // int(level.stride)
        size = part.shape[1]
        whole = np.asarray(one)[:, first : first + size, first : first + size]
        inner = slice(border, size - border)
        assert size > 2 * border
        np.testing.assert_allclose(part[:, inner, inner], whole[:, inner, inner], atol=1e-5)


@pytest.mark.parametrize(("make", "window"), [(squeezed, (SIDES[0],) * 2), (transformer, (32, 32))])
def test_a_network_that_looks_everywhere_gets_fixed_windows(make: Make, window: Any) -> None:
    found = measure(opened_network(make()), "tiny")
    assert (found.window, found.margin, found.step) == (window, None, 1)


def test_a_network_for_no_usual_size_is_refused() -> None:
    rgb = keras.Input((None, None, 3))
    maps = keras.layers.Conv2D(4, 700)(rgb)
    with pytest.raises(SettingsError, match=r"--backbone tiny: takes no images of 448 x 448"):
        measure(opened_network(keras.Model(rgb, maps)), "tiny")


def test_a_geometry_comes_back_from_json() -> None:
    for geometry in (
        Geometry((Level(4, 2.0, 0), Level(6, 8.0, 3)), 8, 20, None),
        Geometry((Level(4, 14.5, 0),), 1, None, (448, 224)),
    ):
        assert Geometry.from_json(geometry.to_json()) == geometry
    for wrong in ({"step": 0}, {"levels": []}, {"margin": None}, {"window": [0, 1]}):
        values = Geometry((Level(4, 2.0, 0),), 8, 20, None).to_json() | wrong
        with pytest.raises((ValueError, TypeError)):
            Geometry.from_json(values)
