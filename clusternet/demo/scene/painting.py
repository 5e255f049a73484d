"""The colours of a synthetic scene: fields, water, roads and tree crowns, seen from above.

Colours are RGB as float32, 0 to 255, before noise and blur. They overlap between classes on
purpose (meadows and forest, forest shadows and water, roofs and roads, roofs and bare soil), so
that texture and surroundings are needed to tell classes apart.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.spatial import cKDTree

from clusternet.demo.scene.layout import Layout, Strip
from clusternet.demo.scene.shapes import (
    Parcels,
    Points,
    fractal_noise,
    grain,
    lies_on,
    scattered,
    smooth_noise,
    within,
)
from clusternet.types import BoolArray, FloatArray

# RGB; contrast of the crop rows, of the wheel tracks, of the mottling; relative frequency
_CROPS = (
    ((70, 94, 50), 0.13, 0.10, 0.05, 5),  # maize
    ((88, 112, 58), 0.05, 0.12, 0.05, 4),  # young cereal
    ((98, 120, 66), 0.00, 0.00, 0.12, 3),  # meadow
    ((62, 84, 46), 0.08, 0.08, 0.06, 3),  # beet
    ((194, 172, 108), 0.04, 0.10, 0.05, 3),  # ripe wheat
    ((186, 178, 74), 0.03, 0.08, 0.05, 2),  # rape in flower
    ((168, 146, 108), 0.09, 0.04, 0.06, 2),  # stubble
    ((150, 116, 92), 0.08, 0.00, 0.08, 3),  # reddish bare soil
    ((112, 88, 68), 0.12, 0.00, 0.07, 2),  # ploughed soil
    ((136, 128, 116), 0.08, 0.00, 0.08, 3),  # pale dry soil
    ((128, 124, 82), 0.02, 0.00, 0.14, 2),  # fallow
)


def paint_land(rng: Generator, layout: Layout) -> FloatArray:
    """Return the land (rows, cols, 3) without roads, water, trees and buildings."""
    shape = layout.lakes.shape[0], layout.lakes.shape[1]
    land = _paint_fields(rng, layout.parcels)
    mottle = fractal_noise(rng, shape, 40, 4)[..., None]
    lawn = np.array([94, 110, 64], np.float32) * (1 + 0.09 * mottle)
    lawn += 9 * smooth_noise(rng, shape, 26)[..., None] * np.array([1.0, 0.6, 0.5], np.float32)
    margin = within(layout.parcels.edges(), 2.2) & ~layout.gardens
    land[margin] = 0.45 * land[margin] + 0.5 * lawn[margin]
    land[layout.gardens] = lawn[layout.gardens]
    floor = np.array([36, 47, 32], np.float32)
    land[layout.forest] = floor * (1 + 0.1 * mottle[layout.forest])
    return land * (1 + 0.03 * grain(rng, shape, 0.7)[..., None])


def _paint_fields(rng: Generator, parcels: Parcels) -> FloatArray:
    count = len(parcels.angle)
    common = np.array([crop[4] for crop in _CROPS], float)
    crop = rng.choice(len(_CROPS), count, p=common / common.sum())
    colour = np.array([_CROPS[i][0] for i in crop], np.float32)
    colour += rng.normal(0, 3, colour.shape).astype(np.float32) + rng.normal(0, 6, (count, 1))
    strength = np.array([_CROPS[i][1:4] for i in crop], np.float32)
    number = parcels.number

    # Rows and wheel tracks run along either the longer or the shorter side of a field.
    sideways = rng.random(count)[number] < 0.4
    position = np.where(sideways, parcels.along, parcels.across)
    shape = number.shape[0], number.shape[1]
    position = position + 0.7 * smooth_noise(rng, shape, 60)
    period = rng.uniform(4.5, 8.5, count).astype(np.float32)[number]
    rows = np.sin(2 * np.pi * position / period) * (1 + 0.3 * smooth_noise(rng, shape, 15))
    tram = rng.uniform(38, 54, count).astype(np.float32)[number]
    tracks = np.abs(np.abs((position % tram) - tram / 2) - 3.2) < 1.0
    mottle = fractal_noise(rng, shape, 70, 5)

    # A gradient of brightness across each field.
    tilt = rng.normal(0, 1, (2, count)).astype(np.float32)[:, number]
    gradient = tilt[0] * np.sin(parcels.along / 190) + tilt[1] * np.sin(parcels.across / 190)
    light = 1 + strength[number, 0] * rows - strength[number, 1] * tracks
    light += strength[number, 2] * mottle + 0.045 * gradient
    fields: FloatArray = (colour[number] * np.clip(light, 0.5, 1.5)[..., None]).astype(np.float32)
    return fields


def paint_water(rng: Generator, layout: Layout, image: FloatArray) -> None:
    """Paint lakes and rivers, with their banks, onto an image (rows, cols, 3)."""
    shape = image.shape[0], image.shape[1]
    water = layout.water
    bank = within(water, 4.5) & ~water
    image[bank] = 0.5 * image[bank] + 0.5 * np.array([104, 100, 72])
    tint = smooth_noise(rng, shape, 190)[..., None]
    colour = np.array([41, 58, 47], np.float32) + tint * np.array([4, 6, 6], np.float32)
    ripples = grain(rng, shape, 1.6) * 0.9 + smooth_noise(rng, shape, 22) * 1.1
    colour = colour + ripples[..., None]
    shallow = within(~water, 3.5) & water
    colour[shallow] += np.array([12, 11, 3])
    image[water] = colour[water]


def paint_roads(rng: Generator, layout: Layout, image: FloatArray) -> None:
    """Paint roads with verges, wheel tracks and markings; the first roads lie on top."""
    shape = image.shape[0], image.shape[1]
    wear = 3.5 * smooth_noise(rng, shape, 45) + 2.5 * grain(rng, shape, 1.0)
    on_land = ~layout.water
    for strip in reversed(layout.roads):
        width, away = strip.curve.half_width, strip.distance
        verge = (away > width) & (away <= width + 3.5) & on_land
        image[verge] = 0.55 * image[verge] + 0.45 * np.array([134, 126, 96])
        rail = (away > width - 1.6) & strip.area & ~on_land
        base = 128 if width >= 8 else 136
        shade = base + wear - 7 * (np.abs(away - 0.45 * width) < 1.3)
        asphalt = shade[..., None] * np.array([1.0, 0.995, 0.985], np.float32)
        image[strip.area] = asphalt[strip.area]
        image[_markings(strip)] = (212, 212, 206)
        image[rail] = (168, 166, 160)


def _markings(strip: Strip) -> BoolArray:
    """Return the mask (rows, cols) of the markings: a dashed centre line, lines at the edges."""
    away, width = strip.distance, strip.curve.half_width
    if width < 6:
        return np.zeros(away.shape, bool)
    dashes = (away < 0.75) & (strip.index % 26 < 13)
    lines: BoolArray = np.abs(away - (width - 1.7)) < 0.55
    return dashes | lines if width >= 8 else dashes


def paint_cars(rng: Generator, layout: Layout, image: FloatArray) -> None:
    """Paint cars on the country roads, about one for 95 pixels of a road."""
    colours = np.array(
        [[222, 222, 220], [58, 60, 66], [150, 42, 40], [70, 92, 140], [182, 184, 186]]
    )
    for strip in layout.roads:
        if strip.curve.half_width < 6:
            continue
        for index in range(int(rng.integers(20, 90)), len(strip.curve.points), 1):
            if rng.random() > 1 / 95:
                continue
            angle, lane = strip.curve.direction(index), rng.choice([-1, 1])
            centre = strip.curve.points[index] + lane * 0.45 * strip.curve.half_width * np.array(
                [np.cos(angle), -np.sin(angle)]
            )
            first = np.round(centre).astype(int) - 6
            if (first < 0).any() or (first + 13 > image.shape[:2]).any():
                continue
            rows, cols = np.indices((13, 13)) + (first - centre)[:, None, None]
            along = np.abs(cols * np.cos(angle) + rows * np.sin(angle))
            across = np.abs(rows * np.cos(angle) - cols * np.sin(angle))
            patch = image[first[0] : first[0] + 13, first[1] : first[1] + 13]
            body, shadow = (along < 4.4) & (across < 2.0), (along < 5) & (across < 3)
            patch[shadow] *= 0.75
            patch[body] = colours[rng.integers(len(colours))]
            patch[body & (along < 2.2)] *= 0.8


def place_trees(rng: Generator, layout: Layout, roofs: BoolArray) -> tuple[Points, FloatArray]:
    """Return the centres (trees, 2) of all crowns, (row, col), and their radii (trees,)."""
    shape = roofs.shape[0], roofs.shape[1]
    free = ~(within(layout.asphalt, 10) | within(roofs, 6) | within(layout.water, 1))
    dense = scattered(rng, layout.forest, 11.5)
    garden = scattered(rng, layout.gardens & free, 21)
    garden = garden[rng.random(len(garden)) < 0.3]
    # Trees stand in hedgerows along some edges of fields, and on most river banks.
    patchy = smooth_noise(rng, shape, 130)
    hedge = within(layout.parcels.edges() & (patchy > 0.75), 2) & ~layout.gardens
    banks = within(layout.water, 9) & (patchy < 0.35)
    rows = scattered(rng, hedge & free & ~layout.forest, 8)
    shore = scattered(rng, banks & free & ~layout.gardens, 11)
    fields = scattered(rng, free & ~layout.forest & ~layout.gardens, 190)
    points = np.concatenate([dense, garden, rows, shore, fields])
    radius = np.concatenate(
        [
            rng.uniform(5.5, 9.5, len(dense)), rng.uniform(4, 8, len(garden)),
            rng.uniform(4, 6.5, len(rows)), rng.uniform(5, 8.5, len(shore)),
            rng.uniform(7, 11, len(fields)),
        ]
    )  # fmt: skip
    return points, radius.astype(np.float32)


def paint_trees(
    rng: Generator, points: Points, radius: FloatArray, forest: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return colour (rows, cols, 3) before shading and height (rows, cols) of crowns, else 0."""
    shape = forest.shape[0], forest.shape[1]
    colour, height = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
    marked = np.zeros(shape, bool)
    cells = np.round(points).astype(int)
    cells = cells[lies_on(np.ones(shape, bool), points)]
    marked[cells[:, 0], cells[:, 1]] = True
    near = np.nonzero(within(marked, float(radius.max(initial=0)) + 3))
    if not len(near[0]):
        return colour, height
    # Each pixel belongs to the tree whose dome is highest there. Pixels are moved a little before
    # that, since crowns are not circular.
    moved = np.stack(near, axis=1) + np.stack(
        [1.1 * grain(rng, shape, 1.7)[near], 1.1 * grain(rng, shape, 1.7)[near]], axis=1
    )
    away, tree = cKDTree(points).query(moved, k=min(4, len(points)))
    away, tree = away.reshape(len(moved), -1), tree.reshape(len(moved), -1)
    tall = 2 + radius * rng.uniform(0.85, 1.3, len(points)).astype(np.float32)
    dome = tall[tree] * np.sqrt(np.clip(1 - (away / radius[tree]) ** 2, 0, None))
    best = dome.argmax(axis=1)
    pick = np.arange(len(best))
    height[near] = dome[pick, best]
    # Stands of broadleaved trees and of darker conifers; each tree has a colour of its own.
    conifer = np.clip(0.5 + 0.9 * smooth_noise(rng, shape, 150), 0, 1)[..., None]
    broad, dark = np.array([91, 114, 60], np.float32), np.array([62, 88, 52], np.float32)
    stand = broad * (1 - conifer) + dark * conifer
    own = 1 + rng.normal(0, 0.09, (len(points), 1)) + rng.normal(0, 0.035, (len(points), 3))
    colour[near] = stand[near] * own[tree[pick, best]]
    colour *= 1 + 0.08 * grain(rng, shape, 0.8)[..., None]
    return colour, height
