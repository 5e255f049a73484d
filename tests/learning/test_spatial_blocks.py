"""Cross-validation never sees neighbours of the pixels that it fitted: blocks lie apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from clusternet.learning.choice import folds_of
from clusternet.learning.classifiers import Samples, Scene
from clusternet.learning.samples import LabelledPixels
from clusternet.learning.spatial_blocks import CELL, GAP, SIDE, cells_of, find_blocks


@dataclass(frozen=True)
class Grid:
    """What blocks need to know of a raster."""

    transform: Affine
    crs: None = None
    is_georeferenced: bool = False


def placed(left: float, top: float) -> Grid:
    return Grid(Affine(1, 0, left, 0, -1, top), None, True)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.7), st.integers(1, 45), st.integers(1, 45))
def test_pixels_of_two_blocks_are_never_neighbours(seed, share, rows, cols) -> None:
    cells = np.random.default_rng(seed).random((rows, cols)) < share
    (blocks,) = find_blocks([(Grid(Affine.identity()), cells)])
    assert (blocks[~cells] == GAP).all()
    corners = np.argwhere(blocks != GAP) * CELL
    owner = blocks[blocks != GAP]
    apart = owner[:, None] != owner
    # from corner to corner; between the pixels there is a cell less
    steps = cdist(corners, corners, "chebyshev") if len(corners) else np.zeros((0, 0))
    assert (steps[apart] - CELL >= CELL).all()


def test_a_polygon_is_one_block_and_what_is_wide_is_cut() -> None:
    cells = np.zeros((80, 80), bool)
    cells[2:5, 2:7] = True
    cells[20:70, 20:70] = True
    (blocks,) = find_blocks([(Grid(Affine.identity()), cells)])
    assert len(np.unique(blocks[2:5, 2:7])) == 1 and blocks[2, 2] != GAP
    side = SIDE // CELL
    wide = blocks[20:70, 20:70]
    assert len(np.unique(wide[wide != GAP])) == 16
    assert all(
        np.ptp(np.argwhere(blocks == number), axis=0).max() < side
        for number in np.unique(blocks[blocks != GAP])
    )


def test_blocks_of_tiles_that_touch_are_one() -> None:
    cells = np.ones((2, 2), bool)
    touching = find_blocks([(placed(0, 0), cells), (placed(32, 0), cells)])
    assert touching[0][0, 0] == touching[1][0, 0]
    distant = find_blocks([(placed(0, 0), cells), (placed(64, 0), cells)])
    assert distant[0][0, 0] != distant[1][0, 0]
    unplaced = find_blocks([(Grid(Affine.identity()), cells), (Grid(Affine.identity()), cells)])
    assert unplaced[0][0, 0] != unplaced[1][0, 0]


def test_cells_hold_the_labels_of_their_pixels() -> None:
    labelled = np.zeros((40, 33), bool)
    labelled[17, 32] = True
    expected = np.zeros((3, 3), bool)
    expected[1, 2] = True
    np.testing.assert_array_equal(cells_of(labelled), expected)


@given(st.integers(0, 1000))
def test_a_block_is_never_on_both_sides(seed) -> None:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(-1, 12, 300).astype(np.int32)
    classes = rng.integers(0, 3, 300).astype(np.int32)
    features = np.zeros((300, 1), np.uint8)
    scene = Scene(features, classes, np.zeros((1, 1), np.float32))
    pixels = LabelledPixels(
        Samples(features, classes, classes), blocks, np.ones(300, np.float32), scene
    )
    held_back = np.zeros(300, int)
    for known, unknown in folds_of(pixels, 3, seed):
        assert not set(blocks[known]) & set(blocks[unknown])
        assert GAP not in blocks[known | unknown]
        held_back += unknown
    assert (held_back == (blocks != GAP)).all()
