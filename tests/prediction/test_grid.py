"""Windows that are read, and what is kept of them, put every pixel of a raster in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusternet.network.sizes import margin, output_size, uncovered
from clusternet.prediction.grid import PredictionGrid, planned_window, read_reflected
from clusternet.raster import open_array
from clusternet.settings import TrainingSettings
from clusternet.windows import Window, centre

sides = st.integers(1, 90)
patches = st.integers(204, 240)


def as_network(pixels: np.ndarray, padding: str) -> np.ndarray:
    """Return what a network gives that passes its input on: the part that it labels."""
    if padding == "valid":
        labelled = tuple(output_size(size, "valid") for size in pixels.shape[:2])
        return pixels[centre(Window(0, 0, *pixels.shape[:2]), labelled).slices()]
    cut = uncovered("same")
    return pixels[cut:-cut, cut:-cut]


@given(sides, sides, patches, patches, st.sampled_from(["same", "valid"]), st.integers(1, 100))
def test_every_pixel_comes_back_in_its_place(
    rows: int, cols: int, patch_rows: int, patch_cols: int, padding: str, window_size: int
) -> None:
    shape = rows, cols
    raster = np.arange(1, rows * cols + 1, dtype=np.int32).reshape(rows, cols, 1)
    grid = PredictionGrid.plan(shape, (patch_rows, patch_cols), padding, window_size)
    assert all(side % 16 == 0 for side in grid.kept_shape)
    if padding == "valid":
        patch = patch_rows, patch_cols
        assert all((a - b) % 16 == 0 for a, b in zip(grid.read_shape, patch, strict=True))
    found = np.zeros((rows, cols), np.int32)
    with open_array(raster, None) as opened:
        for window, kept in grid.windows(shape):
            assert window.shape == grid.read_shape
            assert kept.row % 16 == kept.col % 16 == 0
            pixels, valid = read_reflected(opened, window)
            assert pixels.shape == (*window.shape, 1) and valid.all()
            output = grid.keep(as_network(pixels, padding), kept)
            assert (found[kept.slices()] == 0).all()  # no pixel twice
            found[kept.slices()] = output[..., 0]
    np.testing.assert_array_equal(found, raster[..., 0])


@given(sides, sides, st.sampled_from(["same", "valid"]))
def test_what_is_kept_sees_the_whole_of_its_surroundings(
    rows: int, cols: int, padding: str
) -> None:
    grid = PredictionGrid.plan((rows, cols), (256, 256), padding, 48)
    reach = margin(padding) if padding == "same" else margin(padding) - 1
    for window, kept in grid.windows((rows, cols)):
        assert window.row <= kept.row - reach and window.col <= kept.col - reach
        assert window.row + window.height >= kept.row + kept.height + reach
        assert window.col + window.width >= kept.col + kept.width + reach


@pytest.mark.parametrize(
    ("shape", "window_size", "kept"),
    [
        ((1000, 30), 100, (96, 32)),  # the nearest multiple of 16; small rasters, small windows
        ((1000, 1000), 104, (96, 96)),
        ((1000, 1000), 105, (112, 112)),
        ((1000, 1000), 3, (16, 16)),
        ((16, 17), 768, (16, 32)),
        ((1, 1), 768, (16, 16)),
    ],
)
def test_windows_are_as_large_as_asked_for_and_no_larger_than_the_raster(
    shape: tuple[int, int], window_size: int, kept: tuple[int, int]
) -> None:
    same = PredictionGrid.plan(shape, (64, 64), "same", window_size)
    assert same.kept_shape == kept
    assert same.read_shape == (kept[0] + 2 * 112, kept[1] + 2 * 112)
    valid = PredictionGrid.plan(shape, (256, 212), "valid", window_size)
    assert valid.kept_shape == kept
    smallest = [output_size(size - 16, "valid") for size in valid.read_shape]
    assert all(size < side for size, side in zip(smallest, kept, strict=True))


def test_windows_go_row_by_row_from_the_grain_s_beginning() -> None:
    grid = PredictionGrid.plan((40, 20), (64, 64), "same", 16)
    places = [(kept.row, kept.col) for _, kept in grid.windows((40, 20))]
    assert places == [(0, 0), (0, 16), (16, 0), (16, 16), (32, 0), (32, 16)]
    last = list(grid.windows((40, 20)))[-1]
    assert last == (Window(32 - 112, 16 - 112, 240, 240), Window(32, 16, 8, 4))


def test_beyond_the_edge_the_inside_is_mirrored_with_its_nodata() -> None:
    pixels = np.arange(12, dtype=np.int16).reshape(3, 4, 1)
    with open_array(pixels, 6) as raster:
        found, valid = read_reflected(raster, Window(-2, -3, 6, 9))
        inside, inside_valid = read_reflected(raster, Window(1, 1, 2, 2))
    rows, cols = [2, 1, 0, 1, 2, 1], [3, 2, 1, 0, 1, 2, 3, 2, 1]
    np.testing.assert_array_equal(found, pixels[rows][:, cols])
    np.testing.assert_array_equal(valid, found[..., 0] != 6)
    np.testing.assert_array_equal(inside, pixels[1:3, 1:3])
    np.testing.assert_array_equal(inside_valid, [[True, False], [True, True]])


@given(st.integers(1, 500), st.sampled_from(["same", "valid"]), st.booleans())
def test_windows_are_planned_by_bytes(num_bands: int, padding: Any, filters: bool) -> None:
    settings = TrainingSettings(padding=padding, fixed_filters=filters)
    side, more = (planned_window(n, settings) for n in (num_bands, 2 * num_bands))
    assert more <= side <= 1024 and side % 16 == 0 and side >= 128
    assert planned_window(3, settings) == 1024
    assert planned_window(3, settings, keeps_features=True) == 768
    assert 512 <= planned_window(3, replace(settings, backbone="network.keras")) < 576
    if num_bands >= 64 and filters:
        assert planned_window(num_bands, settings, keeps_features=True) <= side < 450
