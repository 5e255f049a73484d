"""Other views of a patch: a cluster has to stay the same in other light and from other sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from clusternet.types import AnyArray, FloatArray, IntArray

_BRIGHTNESS = 0.2  # standard deviation of a shift, in standard deviations of the band
_CONTRAST = 0.2  # of the logarithm of a factor
_BAND_GAIN = 0.1  # of the logarithm of a factor of each band: haze, sensor, time of day


def augment(
    pixels: FloatArray, labels: IntArray, rng: Generator, *, turn: bool
) -> tuple[FloatArray, IntArray]:
    """Return patches as they might look in other light and, with ``turn``, another direction.

    An overhead image has no top: flipped, and turned by quarters, it is as likely as before. A
    patch that is not square is turned by halves only. Labels turn with the pixels.

    Args:
        pixels: (patches, rows, cols, bands), standardised.
        labels: (patches, rows', cols').
        rng: source of the choices.
        turn: allow flips and turns; False where labels cover a centre that is not symmetric.
    """
    views, kept = np.empty_like(pixels), np.empty_like(labels)
    for row in range(len(pixels)):
        choice = _draw(pixels.shape[1:], rng, turn)
        views[row], kept[row] = choice.relight(pixels[row]), choice.turn(labels[row])
    return views, kept


def augment_part(
    pixels: FloatArray, labels: IntArray, rng: Generator, places: range, total: int, *, turn: bool
) -> tuple[FloatArray, IntArray]:
    """Do the same with some patches of a step: each gets the view that it has in the whole step.

    Args:
        pixels: (patches, rows, cols, bands); those that are more than ``places`` stay as they are.
        labels: (patches, rows', cols').
        rng: source of the choices; it goes on as after the whole step.
        places: where the patches stand in the step.
        total: patches of the step.
        turn: see `augment`.
    """
    views, kept = pixels.copy(), labels.copy()
    choices = [_draw(pixels.shape[1:], rng, turn) for _ in range(total)]
    for row, place in enumerate(places):
        choice = choices[place]
        views[row], kept[row] = choice.relight(pixels[row]), choice.turn(labels[row])
    return views, kept


@dataclass(frozen=True)
class _View:
    """How a view differs from its patch."""

    turns: int
    """By 90 degrees."""
    flip_rows: bool
    flip_cols: bool
    gain: FloatArray
    """(bands,)"""
    shift: FloatArray
    """(bands,)"""

    def turn(self, array: AnyArray) -> AnyArray:
        """Turn and flip pixels or labels."""
        rows, cols = -1 if self.flip_rows else 1, -1 if self.flip_cols else 1
        return np.rot90(array, self.turns)[::rows, ::cols]

    def relight(self, patch: FloatArray) -> FloatArray:
        """Return the patch in another direction and another light."""
        view = self.turn(patch)
        blank = (view == 0).all(axis=-1, keepdims=True)  # nodata stays at the mean of the bands
        return np.where(blank, np.float32(0), view * self.gain + self.shift)


def _draw(shape: tuple[int, ...], rng: Generator, turn: bool) -> _View:
    """Draw the view of a patch (rows, cols, bands)."""
    rows, cols, bands = shape
    turns, flip_rows, flip_cols = 0, False, False
    if turn:
        turns = int(rng.integers(4)) if rows == cols else 0
        flip_rows, flip_cols = rng.random(2) < 0.5
    contrast, brightness = rng.normal(size=(2, 1)) * [[_CONTRAST], [_BRIGHTNESS]]
    gain = np.exp(contrast + _BAND_GAIN * rng.normal(size=bands)).astype(np.float32)
    shift = (brightness + _BRIGHTNESS / 2 * rng.normal(size=bands)).astype(np.float32)
    return _View(turns, bool(flip_rows), bool(flip_cols), gain, shift)
