"""Other views of a patch: a cluster has to stay the same in other light and from other sides."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from clusternet.types import FloatArray, IntArray

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
        view, label = pixels[row], labels[row]
        if turn:
            turns = int(rng.integers(4)) if view.shape[0] == view.shape[1] else 0
            flip_rows, flip_cols = rng.random(2) < 0.5
            view, label = (
                np.rot90(array, turns)[:: -1 if flip_rows else 1, :: -1 if flip_cols else 1]
                for array in (view, label)
            )
        views[row], kept[row] = _relight(view, rng), label
    return views, kept


def _relight(view: FloatArray, rng: Generator) -> FloatArray:
    bands = view.shape[-1]
    contrast, brightness = rng.normal(size=(2, 1)) * [[_CONTRAST], [_BRIGHTNESS]]
    gain = np.exp(contrast + _BAND_GAIN * rng.normal(size=bands)).astype(np.float32)
    shift = (brightness + _BRIGHTNESS / 2 * rng.normal(size=bands)).astype(np.float32)
    blank = (view == 0).all(axis=-1, keepdims=True)  # nodata, which stays at the mean of the bands
    return np.where(blank, np.float32(0), view * gain + shift)
