"""Another view of a patch: the network learns that a cluster stays what it is under these."""

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

    Overhead images have no upside: flips and quarter turns give scenes as likely as before
    (half turns only where patches are not square). Labels turn with the pixels.

    Args:
        pixels: (patches, rows, cols, bands), standardised.
        labels: (patches, rows', cols').
        rng: source of the choices.
        turn: allow flips and turns; False where labels cover a centre that is not symmetric.
    """
    views, kept = np.empty_like(pixels), np.empty_like(labels)
    for place in range(len(pixels)):
        view, label = pixels[place], labels[place]
        if turn:
            turns = int(rng.integers(4)) if view.shape[0] == view.shape[1] else 0
            flip_rows, flip_cols = rng.random(2) < 0.5
            view, label = (
                np.rot90(array, turns)[:: -1 if flip_rows else 1, :: -1 if flip_cols else 1]
                for array in (view, label)
            )
        views[place], kept[place] = _relight(view, rng), label
    return views, kept


def _relight(view: FloatArray, rng: Generator) -> FloatArray:
    bands = view.shape[-1]
    contrast, brightness = rng.normal(size=(2, 1)) * [[_CONTRAST], [_BRIGHTNESS]]
    gain = np.exp(contrast + _BAND_GAIN * rng.normal(size=bands)).astype(np.float32)
    shift = (brightness + _BRIGHTNESS / 2 * rng.normal(size=bands)).astype(np.float32)
    blank = (view == 0).all(axis=-1, keepdims=True)  # nodata stays the mean
    return np.where(blank, np.float32(0), view * gain + shift)
