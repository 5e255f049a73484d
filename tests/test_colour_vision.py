"""Simulated colour blindness: known confusions, and a palette without them."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from clusternet.colour_vision import as_seen, distances
from clusternet.colours import palette


def test_normal_vision_is_cielab() -> None:
    colours = np.random.default_rng(1).integers(0, 256, (50, 3))
    assert as_seen(colours)[0] == pytest.approx(rgb2lab(colours / 255), abs=0.05)


def test_red_and_green_of_equal_lightness_look_alike_to_some() -> None:
    red, olive = (190, 60, 40), (106, 107, 40)
    first, second = as_seen(np.array(red)), as_seen(np.array(olive))
    normal, protan, deutan, tritan = np.linalg.norm(first - second, axis=-1)[:, 0]
    assert min(normal, tritan) > 40
    assert min(protan, deutan) < 15
    assert distances(first, second)[0, 0] == min(protan, deutan)


def test_greys_look_the_same_to_all() -> None:
    seen = as_seen(np.array([[0, 0, 0], [120, 120, 120], [255, 255, 255]]))
    assert np.abs(seen - seen[0]).max() < 0.1


@pytest.mark.parametrize(("count", "least"), [(7, 13), (20, 13), (32, 11), (100, 6)])
def test_colours_of_the_palette_differ_for_all_eyes(count: int, least: float) -> None:
    seen = as_seen(palette(count))
    assert (distances(seen, seen) + 99 * np.eye(count)).min() > least
