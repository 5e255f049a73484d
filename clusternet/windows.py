"""Integer arithmetic on pixel windows: which windows cover a raster. No input or output.

Sizes and positions are pixels, always (rows, cols).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, overload

from clusternet.errors import SettingsError

Edge = Literal["shift", "pad", "drop"]
EDGES: tuple[Edge, ...] = ("shift", "pad", "drop")
Shape = tuple[int, int]


@dataclass(frozen=True, order=True, slots=True)
class Window:
    """A rectangle of pixels; it may extend beyond the raster."""

    row: int
    """First row, 0 at the top of the raster."""
    col: int
    """First column, 0 at the left of the raster."""
    height: int
    """Number of rows."""
    width: int
    """Number of columns."""

    @property
    def shape(self) -> Shape:
        """The size as (rows, cols)."""
        return self.height, self.width

    def inside(self, shape: Shape) -> Window:
        """Return the intersection with a raster of ``shape`` (rows, cols); it may be empty."""
        row, col = max(self.row, 0), max(self.col, 0)
        bottom = min(self.row + self.height, shape[0])
        right = min(self.col + self.width, shape[1])
        return Window(row, col, max(bottom - row, 0), max(right - col, 0))

    def slices(self, origin: Shape = (0, 0)) -> tuple[slice, slice]:
        """Return (row, col) slices into an array whose first pixel lies at ``origin``."""
        row, col = self.row - origin[0], self.col - origin[1]
        return slice(row, row + self.height), slice(col, col + self.width)

    def grown(self, margin: int) -> Window:
        """Return the window with ``margin`` more pixels on every side."""
        return Window(
            self.row - margin, self.col - margin, self.height + 2 * margin, self.width + 2 * margin
        )

    def aligned(self, step: int) -> Window:
        """Return the window extended up and left, so that it begins at multiples of ``step``."""
        rows, cols = self.row % step, self.col % step
        return Window(self.row - rows, self.col - cols, self.height + rows, self.width + cols)


@dataclass(frozen=True)
class Origins(Sequence[int]):
    """The first pixel of each window along one axis, computed when used, not stored."""

    numbers: range
    """Numbers of the windows along the axis."""
    stride: int
    """Pixels from one window to the next."""
    last: int
    """The last window begins at this pixel at most."""

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Origins: ...
    def __getitem__(self, index: int | slice) -> int | Origins:
        """Return the first pixel of one window, or the origins of some."""
        if isinstance(index, slice):
            return replace(self, numbers=self.numbers[index])
        return min(self.numbers[index] * self.stride, self.last)


@dataclass(frozen=True)
class Grid:
    """Windows of one size in row order, computed when used, not stored."""

    rows: Origins
    cols: Origins
    shape: Shape
    """(rows, cols) of a window."""

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.rows) * len(self.cols)

    def __iter__(self) -> Iterator[Window]:
        """Yield the windows."""
        return (Window(row, col, *self.shape) for row in self.rows for col in self.cols)

    def parts(self, num_rows: int) -> Iterator[Grid]:
        """Yield grids of ``num_rows`` rows of windows each; the last one may have fewer."""
        for start in range(0, len(self.rows) if self.cols else 0, num_rows):
            yield replace(self, rows=self.rows[start : start + num_rows])


def origins(size: int, patch: int, stride: int, edge: Edge = "shift") -> Origins:
    """Return the first pixel of each window along one axis.

    ``shift`` moves the last window back inside, ``min(i * stride, size - patch)``, so that every
    pixel is covered while ``stride <= patch``; ``pad`` lets it reach beyond the end; ``drop``
    leaves it out. An axis shorter than the patch gives one window at 0 (none with ``drop``).
    """
    if min(size, patch, stride) < 1:
        raise SettingsError(
            f"Expected sizes and strides of at least 1 pixel, received size {size}, "
            f"patch {patch}, stride {stride}."
        )
    beyond = max(0, size - patch)  # pixels that the first window does not cover
    # `count` windows at multiples of the stride; with "shift" the last one is moved back to `last`
    if edge == "drop":
        count = beyond // stride + 1 if size >= patch else 0
    else:
        count = math.ceil(beyond / stride) + 1
    last = beyond if edge == "shift" else max(0, count - 1) * stride
    return Origins(range(count), stride, last)


def grid(shape: Shape, patch_shape: Shape, stride: Shape, edge: Edge = "shift") -> Grid:
    """Return the windows of ``patch_shape`` that cover a raster of ``shape``, row by row."""
    rows = origins(shape[0], patch_shape[0], stride[0], edge)
    cols = origins(shape[1], patch_shape[1], stride[1], edge)
    return Grid(rows, cols, patch_shape)


@dataclass(frozen=True)
class Blocks(Sequence[Window]):
    """Windows that cover a raster without overlap, in row order, computed when used, not stored."""

    shape: Shape
    """(rows, cols) of the raster."""
    block_shape: Shape
    """(rows, cols) of a window; the last of a row or column is smaller."""

    @property
    def _grid(self) -> Shape:
        rows, cols = (-(-n // block) for n, block in zip(self.shape, self.block_shape, strict=True))
        return rows, cols

    def __len__(self) -> int:
        """Return the number of windows."""
        return math.prod(self._grid)

    @overload
    def __getitem__(self, index: int) -> Window: ...
    @overload
    def __getitem__(self, index: slice) -> list[Window]: ...
    def __getitem__(self, index: int | slice) -> Window | list[Window]:
        """Return one window, or a list of some."""
        numbers = range(len(self))[index]
        return self._block(numbers) if isinstance(numbers, int) else [*map(self._block, numbers)]

    def __iter__(self) -> Iterator[Window]:
        """Yield the windows."""
        return map(self._block, range(len(self)))

    def _block(self, number: int) -> Window:
        row, col = divmod(number, self._grid[1])
        rows, cols = self.block_shape
        return Window(row * rows, col * cols, rows, cols).inside(self.shape)


def blocks(shape: Shape, block_shape: Shape) -> Blocks:
    """Return windows that cover a raster without overlap; see `Blocks`."""
    return Blocks(shape, block_shape)


def centre(window: Window, shape: Shape) -> Window:
    """Return the window of ``shape`` in the middle of ``window``.

    If the two differ by an odd number of pixels, one pixel more is cut off at the top and left, as
    in the skip connections of the valid U-Net.
    """
    if shape[0] > window.height or shape[1] > window.width:
        raise SettingsError(f"Expected a shape of at most {window.shape}, received {shape}.")
    top = math.ceil((window.height - shape[0]) / 2)
    left = math.ceil((window.width - shape[1]) / 2)
    return Window(window.row + top, window.col + left, *shape)
