"""Noise, curves and parcels, from which a synthetic scene is made. Units are pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from clusternet.types import BoolArray, FloatArray, IntArray
from clusternet.windows import Shape

Points = NDArray[np.float64]
"""Positions (points, 2), each (row, col)."""


def smooth_noise(rng: Generator, shape: Shape, scale: float) -> FloatArray:
    """Return noise (rows, cols) of mean 0 and deviation 1 or less, smooth over ``scale`` pixels."""
    counts = [math.ceil(size / scale) + 2 for size in shape]
    coarse = rng.standard_normal(counts)
    # Cubic interpolation along one axis is linear in the values: a matrix for each axis.
    down, right = (
        CubicSpline(np.arange(count), np.eye(count))(np.arange(size) / scale + 0.5)
        for count, size in zip(counts, shape, strict=True)
    )
    noise: FloatArray = (down @ coarse @ right.T).astype(np.float32)
    return noise


def fractal_noise(rng: Generator, shape: Shape, scale: float, octaves: int = 4) -> FloatArray:
    """Return a sum of noises, each of half the scale and amplitude of the one before."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        if scale / 2**octave >= 2:
            total += smooth_noise(rng, shape, scale / 2**octave) / 2**octave
    return total


def grain(rng: Generator, shape: Shape, sigma: float) -> FloatArray:
    """Return fine noise (rows, cols) of mean 0 and deviation 1, blurred by ``sigma`` pixels."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), sigma)
    result: FloatArray = noise / max(float(noise.std()), 1e-6)
    return result


@dataclass(frozen=True)
class Curve:
    """A road or a river: its centre line and half its width."""

    points: Points
    """About one point a pixel, in order."""
    half_width: float
    """From the centre line to the edge."""

    def direction(self, index: int) -> float:
        """Return the angle of the line at a point, atan2(rows, cols)."""
        before, after = self.points[max(index - 3, 0)], self.points[index + 3 :][:1]
        row, col = (after[0] if len(after) else self.points[-1]) - before
        return math.atan2(row, col)


def wandering_curve(
    rng: Generator,
    start: tuple[float, float],
    angle: float,
    length: float,
    half_width: float,
    *,
    sway: float,
    wavelength: float,
) -> Curve:
    """Return a curve from ``start`` (row, col) that sways about the direction ``angle``."""
    along = np.arange(0.0, length + wavelength / 4, wavelength / 4)
    phase = rng.uniform(0, 2 * np.pi)
    aside = sway * np.sin(2 * np.pi * along / wavelength + phase)
    aside += rng.normal(0, 0.3 * sway, len(along))
    aside -= aside[0]
    forward = np.array([math.sin(angle), math.cos(angle)])
    sideways = np.array([forward[1], -forward[0]])
    controls = np.array(start) + along[:, None] * forward + aside[:, None] * sideways
    spline = CubicSpline(along, controls)
    return Curve(spline(np.arange(0.0, along[-1])), half_width)


def distance_to_curve(curve: Curve, shape: Shape, reach: float) -> tuple[FloatArray, IntArray]:
    """Return the distance from each pixel to a curve.

    Returns:
        distance (rows, cols) in pixels, infinite beyond ``reach``, and the index (rows, cols)
        of the nearest of the curve's points.
    """
    distance = np.full(shape, np.inf, np.float32)
    index = np.zeros(shape, np.int32)
    # A distance transform of the drawn curve is fast but rounded to pixels. It selects the pixels
    # near the curve, whose exact distance the tree then gives.
    margin = math.ceil(reach) + 2
    drawn = np.ones((shape[0] + 2 * margin, shape[1] + 2 * margin), bool)
    cells = np.round(curve.points).astype(int) + margin
    inside = ((cells >= 0) & (cells < drawn.shape)).all(axis=1)
    if not inside.any():
        return distance, index
    drawn[cells[inside, 0], cells[inside, 1]] = False
    coarse = ndimage.distance_transform_edt(drawn)[margin:-margin, margin:-margin]
    near = np.nonzero(coarse < reach + 1.5)
    exact, nearest = cKDTree(curve.points).query(np.stack(near, axis=1))
    distance[near] = np.where(exact <= reach, exact, np.inf)
    index[near] = nearest
    return distance, index


@dataclass(frozen=True)
class Parcels:
    """Farmland divided into fields."""

    number: IntArray
    """(rows, cols), which parcel a pixel belongs to."""
    angle: FloatArray
    """(parcels,), the direction of its longer sides."""
    along: FloatArray
    """(rows, cols), position in pixels in the direction of the parcel's angle."""
    across: FloatArray
    """(rows, cols), position at a right angle to it."""

    def edges(self) -> BoolArray:
        """Return True (rows, cols) where a pixel's lower or right neighbour is another parcel."""
        edge = np.zeros(self.number.shape, bool)
        edge[:-1] |= self.number[:-1] != self.number[1:]
        edge[:, :-1] |= self.number[:, :-1] != self.number[:, 1:]
        return edge


def cut_parcels(rng: Generator, regions: IntArray, angle: float) -> Parcels:
    """Cut every region (rows, cols) of the land into parcels, roughly along ``angle``."""
    shape = regions.shape[0], regions.shape[1]
    rows, cols = np.indices(shape, np.float32)
    rows += 7 * smooth_noise(rng, shape, 260)
    cols += 7 * smooth_noise(rng, shape, 260)
    tilt = angle + rng.normal(0, 0.3, int(regions.max()) + 1).astype(np.float32)
    cos, sin = np.cos(tilt)[regions], np.sin(tilt)[regions]
    rows, cols = rows - shape[0] / 2, cols - shape[1] / 2
    along, across = cols * cos + rows * sin, rows * cos - cols * sin
    number = np.zeros(shape, np.int32)
    half = math.hypot(*shape) / 2 + 20
    for leaf, (left, top, right, bottom) in enumerate(_leaves(rng, half)):
        inside = (along >= left) & (along < right) & (across >= top) & (across < bottom)
        number[inside] = leaf
    number = number * len(tilt) + regions
    _, first, compact = np.unique(number, return_index=True, return_inverse=True)
    angles = tilt[regions.ravel()[first]]
    return Parcels(compact.reshape(shape).astype(np.int32), angles, along, across)


def _leaves(rng: Generator, half: float) -> list[tuple[float, float, float, float]]:
    """Cut a square again and again until the rectangles have the size of fields.

    Returns:
        (left, top, right, bottom) of each rectangle.
    """
    waiting, leaves = [(-half, -half, half, half)], []
    while waiting:
        left, top, right, bottom = waiting.pop()
        width, height = right - left, bottom - top
        limit = rng.uniform(130, 310)
        if max(width, height) <= limit:
            leaves.append((left, top, right, bottom))
            continue
        fraction = rng.uniform(0.36, 0.64)
        if width > height * rng.uniform(0.75, 1.3):
            cut = left + fraction * width
            waiting += [(left, top, cut, bottom), (cut, top, right, bottom)]
        else:
            cut = top + fraction * height
            waiting += [(left, top, right, cut), (left, cut, right, bottom)]
    return leaves


def scattered(rng: Generator, area: BoolArray, spacing: float) -> Points:
    """Return jittered points (points, 2), about ``spacing`` pixels apart, on ``area``."""
    rows, cols = np.meshgrid(*(np.arange(0.0, size, spacing) for size in area.shape), indexing="ij")
    cols[1::2] += spacing / 2
    points = np.stack([rows.ravel(), cols.ravel()], axis=1)
    points += rng.uniform(-0.38 * spacing, 0.38 * spacing, points.shape)
    kept: Points = points[lies_on(area, points)]
    return kept


def lies_on(area: BoolArray, points: Points) -> NDArray[Any]:
    """Return True (points,) for the points inside ``area`` (rows, cols)."""
    cells = np.round(points).astype(int)
    inside = ((cells >= 0) & (cells < area.shape)).all(axis=1)
    on_area = np.zeros(len(points), bool)
    on_area[inside] = area[cells[inside, 0], cells[inside, 1]]
    return on_area


def within(area: BoolArray, distance: float) -> BoolArray:
    """Return ``area`` (rows, cols) dilated by ``distance`` pixels."""
    if not area.any():
        return area.copy()
    near: BoolArray = ndimage.distance_transform_edt(~area) <= distance
    return near
