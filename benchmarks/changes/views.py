"""Other augmentations. Each function replaces `augment`, but for `same_light`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from clusternet.patches.augmentation import augment
from clusternet.types import FloatArray, IntArray

_BLUR = 1.5  # pixels, at most
_ZOOM = 1.4  # times larger or smaller, at most


def same_light(view: Any, patch: FloatArray) -> FloatArray:
    """Leave colours as they are; replaces the change of brightness and colours."""
    turned: FloatArray = view.turn(patch)
    return turned


def light_only(
    pixels: FloatArray, labels: IntArray, rng: Generator, *, turn: bool
) -> tuple[FloatArray, IntArray]:
    """Change brightness and colours, but neither flip nor rotate."""
    return augment(pixels, labels, rng, turn=False)


def blurred(
    pixels: FloatArray, labels: IntArray, rng: Generator, *, turn: bool
) -> tuple[FloatArray, IntArray]:
    """Also blur half of the views."""
    views, kept = augment(pixels, labels, rng, turn=turn)
    for view in views:
        if rng.random() < 0.5:
            width = rng.uniform(0, _BLUR)
            view[:] = ndimage.gaussian_filter(view, (width, width, 0))
    return views, kept


def zoomed(
    pixels: FloatArray, labels: IntArray, rng: Generator, *, turn: bool
) -> tuple[FloatArray, IntArray]:
    """Also zoom in or out; beyond its border a patch is mirrored."""
    views, kept = augment(pixels, labels, rng, turn=turn)
    for view, label in zip(views, kept, strict=True):
        step = np.exp(rng.uniform(-np.log(_ZOOM), np.log(_ZOOM)))
        middle = (np.array(label.shape) - 1) / 2
        offset = middle - step * middle
        scale = np.diag([step, step])
        for band in range(view.shape[-1]):
            view[..., band] = ndimage.affine_transform(
                view[..., band].copy(), scale, offset, order=1, mode="reflect"
            )
        label[:] = ndimage.affine_transform(label.copy(), scale, offset, order=0, mode="reflect")
    return views, kept


def band_hidden(
    pixels: FloatArray, labels: IntArray, rng: Generator, *, turn: bool
) -> tuple[FloatArray, IntArray]:
    """Also set one band to its mean in a third of the views."""
    views, kept = augment(pixels, labels, rng, turn=turn)
    for view in views:
        if rng.random() < 1 / 3:
            view[..., rng.integers(view.shape[-1])] = 0
    return views, kept
