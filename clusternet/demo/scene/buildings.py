"""Houses and halls: their positions, and the colour and height of their roofs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from clusternet.demo.scene.layout import Layout
from clusternet.demo.scene.shapes import Curve, within
from clusternet.types import BoolArray, FloatArray
from clusternet.windows import Shape, Window

RoofKind = Literal["gable", "hip", "flat"]

_TILES = ((172, 92, 72), (156, 82, 66), (186, 112, 86), (140, 84, 72))
_SLATES = ((118, 120, 124), (132, 132, 132), (104, 110, 122))
_SHEETS = ((150, 152, 154), (124, 146, 172), (176, 178, 176), (134, 134, 132), (112, 136, 164))


@dataclass(frozen=True)
class Building:
    """A rectangle with a roof; lengths in pixels."""

    row: float
    """Centre."""
    col: float
    """Centre."""
    length: float
    """Along the ridge."""
    width: float
    """Across the ridge."""
    angle: float
    """Direction of the ridge, atan2(rows, cols)."""
    kind: RoofKind
    """Two slopes, four slopes, or none."""
    colour: tuple[int, int, int]
    """RGB of a horizontal surface."""
    eaves: float
    """Height of the walls."""

    def window(self, margin: int = 2) -> Window:
        """Return the window that holds the building."""
        reach = math.ceil(math.hypot(self.length, self.width) / 2) + margin
        side = 2 * reach + 1
        return Window(round(self.row) - reach, round(self.col) - reach, side, side)

    def axes(self, window: Window) -> tuple[FloatArray, FloatArray]:
        """Return each pixel's position (rows, cols) along the ridge and across it."""
        rows, cols = np.indices(window.shape, np.float32)
        rows, cols = rows + (window.row - self.row), cols + (window.col - self.col)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return cols * cos + rows * sin, rows * cos - cols * sin

    def footprint(self, window: Window, margin: float = 0) -> BoolArray:
        """Return True (rows, cols) on the roof, or up to ``margin`` pixels beside it."""
        along, across = self.axes(window)
        inside: BoolArray = (np.abs(along) <= self.length / 2 + margin) & (
            np.abs(across) <= self.width / 2 + margin
        )
        return inside


def place_buildings(rng: Generator, layout: Layout) -> list[Building]:
    """Place houses along the streets and halls beside the main roads, without overlap."""
    shape = layout.lakes.shape[0], layout.lakes.shape[1]
    taken = within(layout.water, 10) | within(layout.asphalt, 5)
    placed: list[Building] = []
    mains = [road.curve for road in layout.roads if road.curve.half_width >= 8]
    halls = [hall for main in mains for hall in _halls(rng, main, shape)]
    houses = [house for street in layout.streets for house in _houses(rng, street)]
    for building in [*halls, *houses]:
        window = building.window(8)
        if window.inside(shape) != window:
            continue
        inside = window.slices()
        if not (taken[inside] & building.footprint(window, 3)).any():
            taken[inside] |= building.footprint(window, rng.uniform(3, 8))
            placed.append(building)
    return placed


def _beside(curve: Curve, index: int, away: float) -> tuple[float, float, float]:
    """Return (row, col, angle) of a point ``away`` pixels beside a point of a curve."""
    angle = curve.direction(index)
    row, col = curve.points[index]
    return row + away * math.cos(angle), col - away * math.sin(angle), angle


def _houses(rng: Generator, street: Curve) -> list[Building]:
    """Return more houses than have room; `place_buildings` drops those that overlap others."""
    houses, sheds = [], []
    for side in (-1, 1):
        for position in np.arange(rng.uniform(6, 20), len(street.points), 8):
            length, width = rng.uniform(24, 36), rng.uniform(16, 22)
            away = street.half_width + rng.uniform(17, 27)
            row, col, angle = _beside(street, int(position), side * away)
            angle += rng.choice([0, math.pi / 2], p=[0.7, 0.3]) + rng.normal(0, 0.1)
            kind: RoofKind = "hip" if rng.random() < 0.3 else "gable"
            roofs = _TILES if rng.random() < 0.62 else _SLATES
            colour = roofs[int(rng.integers(len(roofs)))]
            eaves = rng.uniform(6, 9)
            houses.append(Building(row, col, length, width, angle, kind, colour, eaves))
            if rng.random() < 0.08:  # a shed in a garden
                row, col, _ = _beside(street, int(position), side * (away + rng.uniform(22, 30)))
                size = rng.uniform(9, 14), rng.uniform(8, 10)
                sheet = _SHEETS[int(rng.integers(len(_SHEETS)))]
                sheds.append(Building(row, col, *size, angle, "flat", sheet, 5.0))
    return [*houses, *sheds]


def _halls(rng: Generator, main: Curve, shape: Shape) -> list[Building]:
    """Return groups of halls near both ends of the road within the scene."""
    inside = np.nonzero(((main.points >= 0) & (main.points < shape)).all(axis=1))[0]
    halls = []
    for first, side in ((0.1, 1), (0.16, -1), (0.68, 1), (0.74, -1)):
        position = float(inside[int(len(inside) * first)])
        for _ in range(int(rng.integers(3, 6))):
            length, width = rng.uniform(52, 92), rng.uniform(30, 46)
            away = side * (main.half_width + width / 2 + rng.uniform(14, 26))
            index = min(int(position + length / 2), len(main.points) - 1)
            row, col, angle = _beside(main, index, away)
            kind: RoofKind = "gable" if rng.random() < 0.3 else "flat"
            colour = _SHEETS[int(rng.integers(len(_SHEETS)))]
            halls.append(
                Building(row, col, length, width, angle, kind, colour, rng.uniform(10, 15))
            )
            position += length + rng.uniform(10, 26)
    return halls


def paint_roof(
    rng: Generator, building: Building, window: Window, sun: tuple[float, float, float]
) -> tuple[FloatArray, FloatArray]:
    """Return colour (rows, cols, 3) and height (rows, cols) of a roof, to be used on it only.

    Args:
        rng: for stains, and for boxes on flat roofs.
        building: the building.
        window: the pixels to return.
        sun: unit vector (rows, cols, up) that points to the sun.
    """
    along, across = building.axes(window)
    to_side = building.width / 2 - np.abs(across)
    to_end = building.length / 2 - np.abs(along)
    if building.kind == "flat":
        return _flat_roof(rng, building, along, across, np.minimum(to_side, to_end))
    on_end = (to_end < to_side) & (building.kind == "hip")
    slope = 0.62
    height = building.eaves + slope * np.where(on_end, to_end, to_side)
    cos, sin = math.cos(building.angle), math.sin(building.angle)
    across_sun = sun[0] * cos - sun[1] * sin
    along_sun = sun[1] * cos + sun[0] * sin
    facing = np.where(on_end, np.sign(along) * along_sun, np.sign(across) * across_sun)
    # Lambert: the cosine between the roof's normal and the sun, over that of level ground
    light = (slope * facing + sun[2]) / math.hypot(slope, 1) / sun[2]
    rows_of_tiles = 1 + 0.05 * np.sin(2 * np.pi * np.where(on_end, along, across) / 3.2)
    ridge = 1 + 0.12 * ((to_side > building.width / 2 - 1.2) & ~on_end)
    light = np.clip(light, 0.35, 1.35) * rows_of_tiles * ridge
    light *= 1 + 0.05 * _stains(rng, along.shape)
    colour = light[..., None] * np.array(building.colour, np.float32)
    return colour.astype(np.float32), height.astype(np.float32)


def _flat_roof(
    rng: Generator, building: Building, along: FloatArray, across: FloatArray, inwards: FloatArray
) -> tuple[FloatArray, FloatArray]:
    light = 1 + 0.05 * _stains(rng, along.shape)
    light *= 1 - 0.09 * (np.abs((along % 9) - 4.5) < 0.7)  # seams between the sheets
    height = np.full(along.shape, building.eaves, np.float32)
    parapet = inwards < 1.6
    light[parapet] *= 0.82
    if building.width > 24:
        boxes = np.zeros(along.shape, bool)
        for _ in range(int(rng.integers(2, 6))):
            x = rng.uniform(-0.38, 0.38) * building.length
            y = rng.uniform(-0.34, 0.34) * building.width
            half = rng.uniform(1.8, 4), rng.uniform(1.8, 3)
            boxes |= (np.abs(along - x) < half[0]) & (np.abs(across - y) < half[1])
        light[boxes] *= 1.22
        height[boxes] += 4
    return light[..., None] * np.array(building.colour, np.float32), height


def _stains(rng: Generator, shape: tuple[int, ...]) -> FloatArray:
    noise: FloatArray = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), 2.5)
    return noise * 5
