"""Measure a network: strides, how far it looks, and at which shifts it repeats.

All is found on the network itself, so that any architecture can be brought.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clusternet.backbone.geometry import Geometry, Level
from clusternet.errors import SettingsError
from clusternet.network.backend import keras
from clusternet.types import AnyArray, BoolArray, FloatArray
from clusternet.windows import Shape

SIDES = (448, 224, 512, 256)
"""Sides of fixed windows that are tried, in pixels, where a network takes any size: multiples of
the common strides 14, 16 and 32."""
_SIZES = (512, 768)  # two sizes whose outputs tell the strides
_STRIPS = ((64, 1536), (64, 4096))
"""(rows, cols) of the images on which a network is measured; the longer one if it looks far."""
_FRAME = 256  # columns at both ends that are changed
_SHIFTS = (1, 2, 4, 8, 16)  # multiples of the strides at which a network may repeat
_LARGEST_SHIFT = 64
_LARGE = np.float32(1e4)  # times the values of an image
_SAME, _REPEATS = 1e-6, 1e-3  # differences, in the range of the values, that are rounding


def measure(network: Any, name: str) -> Geometry:
    """Measure a network.

    Args:
        network: maps (images, rows, cols, 3) to a list of maps (images, rows', cols', depth).
        name: of the network, for messages.

    Raises:
        SettingsError: if it does not do so for any size of images.
    """
    fixed = network.inputs[0].shape[1:3]
    if None not in fixed:
        return _of_windows(network, (int(fixed[0]), int(fixed[1])), name)
    levels = _sliding_levels(network)
    if levels is not None and (found := _sliding(network, levels)) is not None:
        return found
    for side in SIDES:
        window = (fixed[0] or side, fixed[1] or side)
        if _shapes(network, window) is not None:
            return _of_windows(network, window, name)
    raise SettingsError(
        f"--backbone {name}: takes no images of {' or '.join(f'{s} x {s}' for s in SIDES)} pixels; "
        "save it with a fixed input shape."
    )


def _shapes(network: Any, shape: Shape) -> list[tuple[int, int, int]] | None:
    """Return (rows, cols, depth) of the maps of an image; None if the network refuses its size."""
    try:
        maps = network(keras.KerasTensor((1, *shape, 3)))
    except Exception:  # whatever a layer raises for a size that it cannot take
        return None
    found = []
    for one in keras.tree.flatten(maps):
        if len(one.shape) != 4 or None in one.shape[1:]:
            return None
        found.append((int(one.shape[1]), int(one.shape[2]), int(one.shape[3])))
    return found


def _of_windows(network: Any, window: Shape, name: str) -> Geometry:
    shapes = _shapes(network, window)
    if not shapes or min(min(shape) for shape in shapes) < 1:
        raise SettingsError(
            f"--backbone {name}: expected feature maps (images, rows, cols, features) of an image "
            f"of {window[0]} x {window[1]} pixels, found none."
        )
    levels = tuple(Level(depth, window[0] / rows, 0) for rows, _, depth in shapes)
    return Geometry(levels, 1, None, window)


def _sliding_levels(network: Any) -> tuple[Level, ...] | None:
    """Return the levels of a network whose maps grow with its input, None of another one."""
    small, large = _SIZES
    few, many = _shapes(network, (small, small)), _shapes(network, (large, large))
    if few is None or many is None:
        return None
    levels = []
    for one, other in zip(few, many, strict=True):
        more = other[0] - one[0]
        if one[0] != one[1] or more < 1 or (large - small) % more:
            return None
        stride = (large - small) // more
        lost = small - one[0] * stride
        if lost < 0:
            return None
        levels.append(Level(one[2], float(stride), lost))
    return tuple(levels)


def _sliding(network: Any, levels: tuple[Level, ...]) -> Geometry | None:
    """Return the geometry of a network whose features depend on a neighbourhood, else None."""
    unit = math.lcm(*(int(level.stride) for level in levels))
    if unit > _LARGEST_SHIFT:
        return None
    margin, step = 0, 0
    for turned in (False, True):
        found = None
        for strip in _STRIPS:
            probe = _Probe(network, levels, strip, turned)
            reach = probe.reach()
            shift = None if reach is None else probe.smallest_shift(unit, reach)
            if reach is not None and shift is not None:
                found = reach, shift
                break
        if found is None:
            return None
        margin, step = max(margin, found[0]), max(step, found[1])
    return Geometry(levels, step, margin, None)


class _Probe:
    """A strip of noise, on which a network is measured along its columns, or rows if turned."""

    def __init__(self, network: Any, levels: tuple[Level, ...], shape: Shape, turned: bool) -> None:
        self._network, self._levels, self._turned = network, levels, turned
        rng = np.random.default_rng(1)
        # noise of two grains: what is averaged out of one kind is left of the other
        fine = rng.uniform(0, 255, (*shape, 3))
        coarse = rng.uniform(0, 255, (shape[0] // 32, shape[1] // 32, 3))
        coarse = coarse.repeat(32, axis=0).repeat(32, axis=1)
        self._strip = ((fine + coarse) / 2).astype(np.float32)
        self._maps = self._run(self._strip)

    def _run(self, strip: FloatArray) -> list[FloatArray] | None:
        image = strip.swapaxes(0, 1) if self._turned else strip
        try:
            maps = self._network(keras.ops.convert_to_tensor(image[None]), training=False)
        except Exception:  # as in `_shapes`
            return None
        found = [np.asarray(keras.ops.convert_to_numpy(one))[0] for one in keras.tree.flatten(maps)]
        return [one.swapaxes(0, 1) if self._turned else one for one in found]

    def reach(self) -> int | None:
        """Return how far away a pixel's features change if pixels are changed; None if anywhere."""
        reaches = []
        # large values pass through convolutions, and others through what is limited
        for fill in (255 - self._strip, _LARGE * self._strip):
            changed = self._strip.copy()
            for end in (slice(None, _FRAME), slice(-_FRAME, None)):
                changed[:, end] = fill[:, end]
            maps = self._run(changed)
            if self._maps is None or maps is None:
                return None
            for level, one, other in zip(self._levels, self._maps, maps, strict=True):
                reaches.append(
                    _level_reach(level, _differ(one, other, _SAME), self._strip.shape[1])
                )
        found = [reach for reach in reaches if reach is not None]
        return max(found) if len(found) == len(reaches) else None

    def smallest_shift(self, unit: int, reach: int) -> int | None:
        """Return the smallest shift, a multiple of ``unit``, that shifts all maps; else None."""
        for shift in (unit * times for times in _SHIFTS if unit * times <= _LARGEST_SHIFT):
            moved = np.concatenate([self._strip[:, shift:], self._strip[:, :shift]], axis=1)
            maps = self._run(moved)
            if self._maps is None or maps is None:
                return None
            pairs = zip(self._levels, self._maps, maps, strict=True)
            if all(_repeats(level, one, other, shift, reach) for level, one, other in pairs):
                return shift
        return None


def _differ(one: AnyArray, other: AnyArray, tolerance: float) -> BoolArray:
    """Return which columns of two maps (rows, cols, depth) differ; NaN differs from all."""
    most = tolerance * max(float(np.abs(one).max()), 1e-12)
    return np.asarray(~(np.abs(one - other) <= most).all(axis=(0, 2)))


def _level_reach(level: Level, changed: BoolArray, length: int) -> int | None:
    """Return the reach that the changed columns of a map show, in pixels; None if there is none.

    A pixel lies between the centres of two places of the map, and takes from both.
    """
    clean = np.flatnonzero(~changed)
    middle = len(changed) // 2
    if changed[middle] or not len(clean):
        return None
    places = np.flatnonzero(changed)
    left = places[places < middle].max(initial=-1) + 1
    right = places[places > middle].min(initial=len(changed)) - 1
    first, last = (level.lost // 2 + (place + 0.5) * level.stride - 0.5 for place in (left, right))
    return int(max(math.ceil(first) - _FRAME, length - _FRAME - 1 - math.floor(last), 0))


def _repeats(level: Level, one: AnyArray, other: AnyArray, shift: int, reach: int) -> bool:
    """Tell whether a map of a shifted image is the shifted map, where no end is in reach."""
    places = round(shift / level.stride)
    border = math.ceil((reach + shift) / level.stride) + 1
    count = one.shape[1] - places
    inner = slice(border, count - border)
    if inner.start >= inner.stop:
        return False
    return not _differ(one[:, places:][:, inner], other[:, :count][:, inner], _REPEATS).any()
