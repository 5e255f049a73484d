"""The plan of a synthetic scene: where roads, water, villages, fields and forests lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from clusternet.demo.scene.shapes import (
    Curve,
    Parcels,
    cut_parcels,
    distance_to_curve,
    fractal_noise,
    lies_on,
    smooth_noise,
    wandering_curve,
    within,
)
from clusternet.types import BoolArray, FloatArray, IntArray
from clusternet.windows import Shape

_FOREST_SHARE = 0.25
_SHORTEST_STREET = 40
_VERGE = 30  # pixels beside a curve for which the distance is known


@dataclass(frozen=True)
class Strip:
    """A curve drawn on the scene's grid."""

    curve: Curve
    distance: FloatArray
    """(rows, cols), from the centre line; infinite far away."""
    index: IntArray
    """(rows, cols), the nearest point of the curve."""

    @property
    def area(self) -> BoolArray:
        """True (rows, cols) on the road or river."""
        on: BoolArray = self.distance <= self.curve.half_width
        return on


@dataclass(frozen=True)
class Layout:
    """The plan of a scene."""

    parcels: Parcels
    """The farmland below everything else."""
    rivers: list[Strip]
    """From edge to edge."""
    roads: list[Strip]
    """Country roads, then village streets; where they cross, the first is on top."""
    streets: list[Curve]
    """Curves along which houses stand."""
    lakes: BoolArray
    """(rows, cols)."""
    gardens: BoolArray
    """(rows, cols), built-up land."""
    forest: BoolArray
    """(rows, cols), land under a closed canopy."""

    @property
    def water(self) -> BoolArray:
        """True (rows, cols) on lakes and rivers, bridges included."""
        return union([self.lakes, *(river.area for river in self.rivers)])

    @property
    def asphalt(self) -> BoolArray:
        """True (rows, cols) on roads, bridges included."""
        return union([road.area for road in self.roads])


def union(areas: list[BoolArray]) -> BoolArray:
    """Return the union of areas (rows, cols)."""
    covered: BoolArray = np.logical_or.reduce(areas)
    return covered


def plan(rng: Generator, shape: Shape) -> Layout:
    """Lay out a scene of ``shape``."""
    heading = rng.uniform(-0.35, 0.35)
    mains = _main_roads(rng, shape, heading)
    rivers = _rivers(rng, shape, heading)
    lanes = [_side_road(rng, main, shape) for main in mains]
    river_strips = [_strip(curve, shape) for curve in rivers]
    roads = [_strip(curve, shape) for curve in [*mains, *lanes]]
    kept_free = union([strip.distance < np.inf for strip in [*river_strips, *roads[len(mains) :]]])
    streets = [street for main in mains for street in _village(rng, main, kept_free)]
    roads += [_strip(street, shape) for street in streets]
    network = union([strip.area for strip in [*roads, *river_strips]])

    lived_in = [*streets, *(_middle(main, shape) for main in mains)]
    depth = 68 + 13 * fractal_noise(rng, shape, 60, 2)  # of the gardens behind the houses
    near_houses = [distance_to_curve(curve, shape, 110)[0] < depth for curve in lived_in]
    gardens = ndimage.binary_opening(union(near_houses), iterations=3)
    lakes = _lakes(rng, network | gardens)
    gardens &= ~within(union([lakes, *(river.area for river in river_strips)]), 14)
    regions, _ = ndimage.label(~union([road.area for road in roads[: 2 * len(mains)]]))
    parcels = cut_parcels(rng, regions, heading)
    forest = _forest(rng, parcels, blocked=within(network, 13) | within(gardens | lakes, 9))
    return Layout(parcels, river_strips, roads, lived_in, lakes, gardens, forest)


def _strip(curve: Curve, shape: Shape) -> Strip:
    return Strip(curve, *distance_to_curve(curve, shape, curve.half_width + _VERGE))


def _main_roads(rng: Generator, shape: Shape, heading: float) -> list[Curve]:
    """Roads from the left edge to the right, one for every 900 rows."""
    count = max(1, round(shape[0] / 900))
    length = math.hypot(*shape) + 60
    curves = []
    for number in range(count):
        middle = shape[0] * (number + rng.uniform(0.4, 0.6)) / count
        start = middle - math.tan(heading) * shape[1] / 2 - 30 * math.sin(heading), -30.0
        curves.append(wandering_curve(rng, start, heading, length, 9.0, sway=22, wavelength=620))
    return curves


def _rivers(rng: Generator, shape: Shape, heading: float) -> list[Curve]:
    """Rivers from the top edge to the bottom, one for every 1400 columns."""
    count = max(1, round(shape[1] / 1400))
    length = math.hypot(*shape) + 200
    curves = []
    for number in range(count):
        side = rng.choice([rng.uniform(0.16, 0.3), rng.uniform(0.7, 0.84)])
        angle = heading + math.pi / 2 + rng.uniform(-0.3, 0.3)
        middle = shape[1] * (number + side) / count
        start = -60.0, middle - (shape[0] / 2 + 60) / math.tan(angle)
        sway, half_width = rng.uniform(28, 40), rng.uniform(18, 23)
        curves.append(
            wandering_curve(rng, start, angle, length, half_width, sway=sway, wavelength=330)
        )
    return curves


def _middle(main: Curve, shape: Shape) -> Curve:
    """Return the section of a main road that runs through its village."""
    inside = ((main.points >= 0) & (main.points < shape)).all(axis=1)
    points = main.points[inside]
    reach = min(190, len(points) // 4)
    middle = len(points) // 2
    return Curve(points[middle - reach : middle + reach], main.half_width)


def _village(rng: Generator, main: Curve, kept_free: BoolArray) -> list[Curve]:
    """Return the streets that leave a main road in its village; they end at rivers and roads."""
    shape = kept_free.shape[0], kept_free.shape[1]
    stem = _middle(main, shape)
    streets = []
    for fraction, side in ((0.12, 1), (0.42, -1), (0.64, 1), (0.92, -1)):
        index = int(len(stem.points) * fraction)
        angle = stem.direction(index) + side * (math.pi / 2 + rng.uniform(-0.2, 0.2))
        start = float(stem.points[index, 0]), float(stem.points[index, 1])
        length = min(rng.uniform(160, 220), shape[0] / 4)
        street = wandering_curve(rng, start, angle, length, 5.5, sway=7, wavelength=200)
        stops = np.flatnonzero(lies_on(kept_free, street.points))
        points = street.points[: stops[0]] if len(stops) else street.points
        if len(points) > _SHORTEST_STREET:
            streets.append(Curve(points, street.half_width))
    return streets


def _side_road(rng: Generator, main: Curve, shape: Shape) -> Curve:
    """Return a straight road that leaves a main road outside its village."""
    inside = np.nonzero(((main.points >= 0) & (main.points < shape)).all(axis=1))[0]
    index = int(
        inside[int(len(inside) * rng.choice([rng.uniform(0.1, 0.2), rng.uniform(0.8, 0.9)]))]
    )
    side = rng.choice([-1, 1])
    angle = main.direction(index) + side * (math.pi / 2 + rng.uniform(-0.35, 0.35))
    start = float(main.points[index, 0]), float(main.points[index, 1])
    return wandering_curve(rng, start, angle, math.hypot(*shape), 7.0, sway=0.5, wavelength=500)


def _lakes(rng: Generator, taken: BoolArray) -> BoolArray:
    """Place lakes, one for every 600,000 pixels, in the middle of the widest free land."""
    shape = taken.shape[0], taken.shape[1]
    rows, cols = np.indices(shape, np.float32)
    lakes = np.zeros(shape, bool)
    dry = within(taken, 8)
    for _ in range(max(1, round(taken.size / 6e5))):
        room = ndimage.distance_transform_edt(~(within(lakes, 200) | taken))
        room = np.minimum(room, _to_border(shape) + 25)
        room *= 1 + 0.15 * smooth_noise(rng, shape, 200)
        row, col = np.unravel_index(int(room.argmax()), shape)
        radius = min(rng.uniform(0.66, 0.8) * float(room[row, col]), 104.0)
        turn, stretch = rng.uniform(0, math.pi), rng.uniform(1.0, 1.3)
        x, y = cols - col, rows - row
        along = (x * math.cos(turn) + y * math.sin(turn)) / stretch
        across = (y * math.cos(turn) - x * math.sin(turn)) * stretch
        shore = radius * (1 + 0.17 * fractal_noise(rng, shape, max(radius * 0.9, 8.0), 3))
        basin, _ = ndimage.label((along**2 + across**2 < shore**2) & ~dry)
        if basin[row, col]:
            lakes |= basin == basin[row, col]
    return lakes


def _to_border(shape: Shape) -> FloatArray:
    """Return the distance (rows, cols) in pixels to the scene's border."""
    down, right = (np.minimum(np.arange(size), np.arange(size)[::-1]) for size in shape)
    return np.minimum(down[:, None], right).astype(np.float32)


def _forest(rng: Generator, parcels: Parcels, blocked: BoolArray) -> BoolArray:
    """Choose a quarter of the scene as forest: irregular areas, and some whole parcels."""
    shape = blocked.shape[0], blocked.shape[1]
    suitability = fractal_noise(rng, shape, 210, 5)
    planted = rng.uniform(0, 1, int(parcels.number.max()) + 1) > 0.86
    suitability += 1.5 * planted[parcels.number]
    suitability[blocked] = -100
    limit = max(float(np.quantile(suitability, 1 - _FOREST_SHARE)), -50.0)
    forest: BoolArray = ndimage.binary_opening(suitability > limit, iterations=3)
    return forest
