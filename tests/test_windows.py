"""Laws of the window arithmetic that tiling and prediction rest on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusternet.errors import SettingsError
from clusternet.windows import EDGES, Window, blocks, centre, grid, origins

SIZE = st.integers(1, 200)
PATCH = st.integers(1, 64)
STRIDE = st.integers(1, 80)
EDGE = st.sampled_from(EDGES)
PLACE = st.integers(-50, 150)
WINDOW = st.builds(Window, PLACE, PLACE, SIZE, SIZE)


def covered(starts: Iterable[int], patch: int, size: int) -> np.ndarray:
    seen = np.zeros(size, bool)
    for start in starts:
        seen[start : start + patch] = True
    return seen


@given(SIZE, PATCH, STRIDE, EDGE)
def test_origins_are_sorted_and_unique(size, patch, stride, edge):
    starts = list(origins(size, patch, stride, edge))
    assert starts == sorted(set(starts))


@given(SIZE, PATCH, STRIDE, st.sampled_from(["shift", "pad"]))
def test_every_pixel_is_covered_while_the_stride_is_at_most_the_patch(size, patch, stride, edge):
    assert covered(origins(size, patch, min(stride, patch), edge), patch, size).all()


@given(SIZE, PATCH, STRIDE, st.sampled_from(["shift", "drop"]))
def test_no_window_leaves_an_axis_that_holds_a_patch(size, patch, stride, edge):
    starts = origins(max(size, patch), patch, stride, edge)
    assert all(0 <= start <= max(size, patch) - patch for start in starts)


@given(SIZE, PATCH, STRIDE)
def test_dropping_leaves_out_what_padding_adds(size, patch, stride):
    dropped, padded = (list(origins(size, patch, stride, edge)) for edge in ("drop", "pad"))
    assert padded[: len(dropped)] == dropped
    assert all(start + patch > size for start in padded[len(dropped) :])


@given(SIZE, PATCH, STRIDE)
def test_shifting_gives_as_many_windows_as_padding(size, patch, stride):
    assert len(origins(size, patch, stride, "shift")) == len(origins(size, patch, stride, "pad"))


@given(PATCH, STRIDE, EDGE)
def test_an_axis_of_exactly_one_patch_gives_one_window(patch, stride, edge):
    assert list(origins(patch, patch, stride, edge)) == [0]


def test_the_last_window_is_shifted_back_inside():
    assert list(origins(10, 4, 4, "shift")) == [0, 4, 6]


@pytest.mark.parametrize("bad", [(0, 4, 4), (10, 0, 4), (10, 4, 0), (10, 4, -1)])
def test_a_size_below_one_pixel_is_refused(bad):
    with pytest.raises(SettingsError, match="at least 1 pixel"):
        origins(*bad)


@given(SIZE, SIZE, PATCH, EDGE)
def test_a_grid_runs_row_by_row(rows, cols, patch, edge):
    windows = grid((rows, cols), (patch, patch), (patch, patch), edge)
    assert list(windows) == sorted(windows) and len(windows) == len(list(windows))


@given(SIZE, SIZE, PATCH, EDGE, st.integers(1, 10))
def test_a_grid_is_the_sum_of_its_parts(rows, cols, patch, edge, num_rows):
    windows = grid((rows, cols), (patch, patch), (patch, patch), edge)
    parts = list(windows.parts(num_rows))
    assert [window for part in parts for window in part] == list(windows)
    assert all(0 < len(part.rows) <= num_rows for part in parts)


@pytest.mark.parametrize("edge", EDGES)
def test_a_grid_takes_no_memory_however_many_windows_there_are(edge):
    windows = grid((2**40, 2**40), (16, 16), (16, 16), edge)
    assert len(windows.rows) == len(windows.cols) == 2**36
    first, second = zip(range(2), windows, strict=False)
    assert (first[1], second[1]) == (Window(0, 0, 16, 16), Window(0, 16, 16, 16))
    assert len(next(windows.parts(1)).cols) == 2**36


@given(WINDOW, SIZE, SIZE)
def test_the_part_inside_lies_on_both_the_window_and_the_raster(window, rows, cols):
    part = window.inside((rows, cols))
    if part.height and part.width:
        assert part.row >= max(window.row, 0) and part.col >= max(window.col, 0)
        assert part.row + part.height <= min(window.row + window.height, rows)
        assert part.col + part.width <= min(window.col + window.width, cols)


@given(SIZE, SIZE, PATCH, PATCH)
def test_blocks_cut_a_raster_into_parts_without_overlap(rows, cols, height, width):
    count = np.zeros((rows, cols), int)
    for block in blocks((rows, cols), (height, width)):
        count[block.slices()] += 1
    assert (count == 1).all()


@given(WINDOW, st.data())
def test_the_centre_leaves_margins_that_differ_by_at_most_one(window, data):
    shape = (
        data.draw(st.integers(1, window.height)),
        data.draw(st.integers(1, window.width)),
    )
    inner = centre(window, shape)
    top, left = inner.row - window.row, inner.col - window.col
    assert inner.shape == shape
    assert top - (window.height - shape[0] - top) in (0, 1)
    assert left - (window.width - shape[1] - left) in (0, 1)


def test_a_centre_larger_than_the_window_is_refused():
    with pytest.raises(SettingsError, match=r"at most \(4, 4\)"):
        centre(Window(0, 0, 4, 4), (5, 4))


@given(WINDOW, st.integers(0, 20))
def test_a_grown_window_has_the_old_one_at_its_centre(window, margin):
    assert centre(window.grown(margin), window.shape) == window


@given(WINDOW, st.integers(1, 20))
def test_an_aligned_window_is_the_smallest_that_begins_at_multiples(window, step):
    found = window.aligned(step)
    assert found.row % step == found.col % step == 0
    assert 0 <= window.row - found.row < step and 0 <= window.col - found.col < step
    assert found.row + found.height == window.row + window.height
    assert found.col + found.width == window.col + window.width
