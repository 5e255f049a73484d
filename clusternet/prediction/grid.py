"""How a raster is cut for prediction: wide windows in, trustworthy centres out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clusternet.network.sizes import TOTAL_STRIDE, decoder_margins, margin, output_size
from clusternet.raster import Raster
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Shape, Window, blocks


@dataclass(frozen=True)
class PredictionGrid:
    """Windows to read and the part of each that is kept.

    Kept parts start at multiples of the network's total stride and lie a full receptive field
    inside what is read. So every pixel sees the same neighbours on the same pooling grid, and the
    result does not depend on the size of the parts.
    """

    kept_shape: Shape
    """(rows, cols) kept of each window, multiples of 16."""
    before: Shape
    """Pixels read above and to the left of the kept part."""
    read_shape: Shape
    """(rows, cols) that go through the network."""
    kept_from: int
    """First row and column that are kept of the output of a network built ``centre_only``."""

    @classmethod
    def plan(
        cls, raster_shape: Shape, patch_shape: Shape, padding: str, window_size: int
    ) -> PredictionGrid:
        """Choose windows for a raster.

        Args:
            raster_shape: (rows, cols); small rasters get small windows.
            patch_shape: of the training patches; windows of the valid network must be of the
                same size modulo 16, because that fixes how its skip connections are cut.
            padding: of the network.
            window_size: the wanted side of the kept part in pixels.
        """
        strides = max(1, round(window_size / TOTAL_STRIDE))
        sides = [TOTAL_STRIDE * min(strides, -(-size // TOTAL_STRIDE)) for size in raster_shape]
        if padding == "same":
            border = margin(padding)
            read = (sides[0] + 2 * border, sides[1] + 2 * border)
            return cls((sides[0], sides[1]), (border, border), read, 2 * decoder_margins()[0])
        rows, cols = (
            _valid_input(side, patch) for side, patch in zip(sides, patch_shape, strict=True)
        )
        before = margin(padding, rows), margin(padding, cols)
        return cls((sides[0], sides[1]), before, (rows, cols), 0)

    def windows(self, raster_shape: Shape) -> Iterator[tuple[Window, Window]]:
        """Yield (window to read, part of the raster that it gives) row by row."""
        for kept in blocks(raster_shape, self.kept_shape):
            row, col = kept.row - self.before[0], kept.col - self.before[1]
            yield Window(row, col, *self.read_shape), kept

    def keep(self, output: AnyArray, kept: Window) -> AnyArray:
        """Cut the kept part out of the network's output (rows', cols', ...) for a window."""
        first = self.kept_from
        return output[first : first + kept.height, first : first + kept.width]


def _valid_input(side: int, patch: int) -> int:
    size = side + (patch - side) % TOTAL_STRIDE
    while output_size(size, "valid") < side:
        size += TOTAL_STRIDE
    return size


def read_reflected(raster: Raster, window: Window) -> tuple[AnyArray, BoolArray]:
    """Read a window that may reach beyond the raster; what lies beyond mirrors the inside.

    Returns:
        pixels (rows, cols, bands) and valid (rows, cols), mirrored alike.
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
