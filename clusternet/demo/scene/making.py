"""Make a synthetic overhead scene whose truth is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from clusternet.demo.scene.buildings import Building, paint_roof, place_buildings
from clusternet.demo.scene.layout import Layout, plan
from clusternet.demo.scene.painting import (
    paint_cars,
    paint_land,
    paint_roads,
    paint_trees,
    paint_water,
    place_trees,
)
from clusternet.demo.scene.shapes import fractal_noise, smooth_noise
from clusternet.errors import SettingsError
from clusternet.types import BoolArray, FloatArray, UInt8Array
from clusternet.windows import Shape

CLASS_NAMES = ("field", "forest", "road", "roof", "water")
"""The name of each value of a truth raster."""

FIELD, FOREST, ROAD, ROOF, WATER = range(5)

_SMALLEST = 128
_SUN_AZIMUTH, _SUN_HEIGHT = math.radians(235), math.radians(46)
# Unit vector (rows, cols, up) to the sun. It stands at the upper left: with light from below,
# people see heights as hollows.
_SUN = (
    math.cos(_SUN_HEIGHT) * math.sin(_SUN_AZIMUTH),
    math.cos(_SUN_HEIGHT) * math.cos(_SUN_AZIMUTH),
    math.sin(_SUN_HEIGHT),
)
_SHADOW = np.array([0.46, 0.50, 0.58], np.float32)  # skylight is bluer than sunlight


@dataclass(frozen=True)
class Scene:
    """An overhead image and its truth."""

    pixels: UInt8Array
    """(rows, cols, 3), RGB; no pixel is 0 in any band."""
    truth: UInt8Array
    """(rows, cols), an index into ``class_names``."""
    class_names: tuple[str, ...] = CLASS_NAMES
    """The name of each class."""


def make_scene(seed: int, shape: Shape = (1024, 1024)) -> Scene:
    """Make a scene of farmland, forest, roads, buildings and water, seen at 0.5 m a pixel.

    Colours overlap between classes, as in real images, so that texture and surroundings matter.

    Args:
        seed: fixes the whole scene.
        shape: (rows, cols); at least 128 each. From 512 x 512 on every class occurs.

    Raises:
        SettingsError: if the shape is too small.
    """
    if min(shape) < _SMALLEST:
        raise SettingsError(f"Expected a scene of at least 128 x 128 pixels, received {shape}.")
    rng = np.random.default_rng(seed)
    layout = plan(rng, shape)
    buildings = place_buildings(rng, layout)
    image = paint_land(rng, layout)
    paint_water(rng, layout, image)
    paint_roads(rng, layout, image)
    paint_cars(rng, layout, image)
    roofs, height = _raise_roofs(rng, buildings, image)
    crowns = _plant_trees(rng, layout, roofs, image, height)
    image *= np.where(_shadows(height)[..., None], _SHADOW, 1.0)
    truth = np.full(shape, FIELD, np.uint8)
    truth[layout.water] = WATER
    truth[crowns] = FOREST
    truth[layout.asphalt] = ROAD
    truth[roofs] = ROOF
    return Scene(_photograph(rng, image), truth)


def _raise_roofs(
    rng: Generator, buildings: list[Building], image: FloatArray
) -> tuple[BoolArray, FloatArray]:
    """Paint the roofs; return their mask (rows, cols) and their height (rows, cols) in pixels."""
    height = np.zeros(image.shape[:2], np.float32)
    for building in buildings:
        window = building.window()
        colour, top = paint_roof(rng, building, window, _SUN)
        on_roof, inside = building.footprint(window), window.slices()
        image[inside][on_roof] = colour[on_roof]
        height[inside][on_roof] = top[on_roof]
    return height > 0, height


def _plant_trees(
    rng: Generator, layout: Layout, roofs: BoolArray, image: FloatArray, height: FloatArray
) -> BoolArray:
    """Paint the crowns and add their height; return the mask (rows, cols) of the forest."""
    colour, canopy = paint_trees(rng, *place_trees(rng, layout, roofs), layout.forest)
    crowns = (canopy > 0) & ~layout.asphalt & ~roofs
    slope_rows, slope_cols = np.gradient(ndimage.gaussian_filter(canopy, 0.7))
    facing = _SUN[2] - slope_rows * _SUN[0] - slope_cols * _SUN[1]
    light = facing / np.sqrt(1 + slope_rows**2 + slope_cols**2) / _SUN[2]
    image[crowns] = (colour * np.clip(0.28 + 0.74 * light, 0.3, 1.45)[..., None])[crowns]
    height[crowns] = canopy[crowns]
    # Gaps between crowns count as forest, as in land cover maps.
    forest: BoolArray = ndimage.binary_closing(crowns, iterations=3) | layout.forest
    return forest


def _shadows(height: FloatArray) -> BoolArray:
    """Return True (rows, cols) where a roof or a crown casts its shadow.

    From each pixel the ray to the sun is followed in steps of one pixel. It is blocked where the
    surface is higher than the ray.
    """
    flat = math.hypot(_SUN[0], _SUN[1])
    drop = _SUN[2] / flat
    hidden = np.zeros(height.shape, bool)
    reach = math.ceil(float(height.max()) / drop) + 1
    padded = np.pad(height, reach)
    rows, cols = height.shape
    for step in range(1, reach):
        row = reach + round(step * _SUN[0] / flat)
        col = reach + round(step * _SUN[1] / flat)
        hidden |= padded[row : row + rows, col : col + cols] - step * drop > height + 0.5
    return hidden


def _photograph(rng: Generator, image: FloatArray) -> UInt8Array:
    """Add the effects of air, lens and sensor: uneven light, haze, blur and noise."""
    shape = image.shape[0], image.shape[1]
    light = 1 + 0.035 * smooth_noise(rng, shape, 420) + 0.02 * fractal_noise(rng, shape, 90, 2)
    hazy = 1.06 * image * light[..., None] + np.array([7, 8, 11], np.float32)
    sharp = ndimage.gaussian_filter(hazy, (0.65, 0.65, 0))
    noise = rng.normal(0, 1, image.shape) * 2.2 + rng.normal(0, 1, (*shape, 1)) * 2.2
    # from 1, since 0 is the nodata value of the images
    pixels: UInt8Array = np.clip(np.rint(sharp + noise), 1, 255).astype(np.uint8)
    return pixels
