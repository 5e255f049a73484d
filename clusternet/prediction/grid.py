"""Windows of a raster for prediction: large ones are read, and only their centres are kept."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clusternet.clustering.reduction import DIMENSIONS
from clusternet.network.sizes import TOTAL_STRIDE, decoder_margins, margin, output_size
from clusternet.raster import Raster
from clusternet.settings import TrainingSettings
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Shape, Window, blocks

_LARGEST, _LARGEST_FEATURES, _SMALLEST = 1024, 768, 128
"""Sides of windows in pixels; below the smallest, most of what is read would only be border. All
features of a window take as much memory as all else of it: the windows are smaller then."""
_WINDOW_BYTES = 1.9e9
"""Memory that the arrays of a window may take; with its libraries a process has 2.5 GiB at most."""
# bytes of a pixel in all arrays that exist at the same time, measured at 3, 16 and 64 bands
_BAND_BYTES, _PLAIN_BAND_BYTES, _FEATURE_BYTES, _FILTER_BYTES = 56, 24, 8, 18
_KEPT_BAND_BYTES = 72  # of a band where the features are kept
_BACKBONE_BYTES = 1900  # in the maps of a backbone, which reads a wider border, measured with one


def planned_window(
    num_bands: int, settings: TrainingSettings, *, keeps_features: bool = False
) -> int:
    """Return the side of windows that fit the memory, whatever the number of bands.

    Args:
        num_bands: bands of the rasters. Each becomes several fixed filters.
        settings: of the run.
        keeps_features: all features of a window are wanted, not only what is made of them.
    """
    of_band = _KEPT_BAND_BYTES if keeps_features else _BAND_BYTES
    if not settings.fixed_filters:
        of_band = _PLAIN_BAND_BYTES
    largest = _LARGEST_FEATURES if keeps_features else _LARGEST
    pixel = (
        of_band * num_bands
        + _FEATURE_BYTES * (settings.num_features + (DIMENSIONS if settings.backbone else 0))
        + _FILTER_BYTES * settings.base_filters
        + (_BACKBONE_BYTES if settings.backbone else 0)
    )
    side = math.isqrt(int(_WINDOW_BYTES / pixel)) - 2 * margin(settings.padding)
    return max(_SMALLEST, min(largest, side // TOTAL_STRIDE * TOTAL_STRIDE))


@dataclass(frozen=True)
class PredictionGrid:
    """Windows to read, and the centre of each that is kept.

    Kept centres start at multiples of the network's total stride, and lie a full receptive field
    inside the window that is read. So every pixel gets the same input on the same pooling grid,
    and the map does not depend on the size of the windows.
    """

    kept_shape: Shape
    """(rows, cols) of the kept centres, multiples of 16."""
    before: Shape
    """Pixels that are read above and to the left of a kept centre."""
    read_shape: Shape
    """(rows, cols) of the windows that are read."""
    kept_from: int
    """First kept row and column in the output of a network that is built with ``centre_only``."""
    described_shape: Shape
    """(rows, cols) of that output."""

    @classmethod
    def plan(
        cls, raster_shape: Shape, patch_shape: Shape, padding: str, window_size: int
    ) -> PredictionGrid:
        """Choose windows for a raster.

        Args:
            raster_shape: (rows, cols); small rasters get small windows.
            patch_shape: (rows, cols) of the training patches. With ``valid`` padding, windows must
                have the same size modulo 16, which determines how skip connections are cropped.
            padding: ``same`` or ``valid``, as in the network.
            window_size: the wanted side of the kept centres in pixels.
        """
        strides = max(1, round(window_size / TOTAL_STRIDE))
        sides = [TOTAL_STRIDE * min(strides, -(-size // TOTAL_STRIDE)) for size in raster_shape]
        if padding == "same":
            border = margin(padding)
            read = (sides[0] + 2 * border, sides[1] + 2 * border)
            more = 2 * decoder_margins()[0]
            described = (sides[0] + 2 * more, sides[1] + 2 * more)
            return cls((sides[0], sides[1]), (border, border), read, more, described)
        rows, cols = (
            _valid_input(side, patch) for side, patch in zip(sides, patch_shape, strict=True)
        )
        before = margin(padding, rows), margin(padding, cols)
        described = output_size(rows, padding), output_size(cols, padding)
        return cls((sides[0], sides[1]), before, (rows, cols), 0, described)

    def windows(self, raster_shape: Shape) -> Iterator[tuple[Window, Window]]:
        """Yield (window to read, window of the map that it gives), row by row."""
        for kept in blocks(raster_shape, self.kept_shape):
            row, col = kept.row - self.before[0], kept.col - self.before[1]
            yield Window(row, col, *self.read_shape), kept

    def described(self, kept: Window) -> Window:
        """Return the window that the network's output covers, around a part that is kept."""
        first = self.kept_from
        return Window(kept.row - first, kept.col - first, *self.described_shape)

    def keep(self, output: AnyArray, kept: Window) -> AnyArray:
        """Cut the kept centre out of the network's output for a window, (rows', cols', ...)."""
        first = self.kept_from
        return output[first : first + kept.height, first : first + kept.width]


def around(one: Window, other: Window) -> Window:
    """Return the smallest window that holds two."""
    row, col = min(one.row, other.row), min(one.col, other.col)
    bottom = max(one.row + one.height, other.row + other.height)
    right = max(one.col + one.width, other.col + other.width)
    return Window(row, col, bottom - row, right - col)


def _valid_input(side: int, patch: int) -> int:
    # of the same size as the training patches modulo the total stride, and large enough
    size = side + (patch - side) % TOTAL_STRIDE
    while output_size(size, "valid") < side:
        size += TOTAL_STRIDE
    return size


def read_reflected(raster: Raster, window: Window) -> tuple[AnyArray, BoolArray]:
    """Read a window that may extend beyond the raster, where pixels are mirrored at its edge.

    Returns:
        pixels (rows, cols, bands) and valid (rows, cols), both mirrored.
    """
    inside = window.inside(raster.profile.shape)
    pixels, valid = raster.read(inside)
    above, left = inside.row - window.row, inside.col - window.col
    sides = (
        (above, window.height - inside.height - above),
        (left, window.width - inside.width - left),
    )
    if any(side for pair in sides for side in pair):
        pixels = np.pad(pixels, (*sides, (0, 0)), mode="reflect")
        valid = np.pad(valid, sides, mode="reflect")
    return pixels, valid
