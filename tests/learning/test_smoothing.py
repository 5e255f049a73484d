"""The guided filter against its definition, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusternet.learning.classifiers import LinearClassifier
from clusternet.learning.smoothing import (
    CoarseProbabilities,
    border,
    classify_coarsely,
    smooth_classes,
)
from clusternet.learning.streaming import smoothed_strips
from clusternet.types import NO_CLASS, FloatArray
from clusternet.windows import Window, blocks

FAINT = 25.0


def guided(coarse: CoarseProbabilities, radius: int) -> FloatArray:
    """Least squares in each square, by numpy's solver; the mean over the squares around a pixel.

    Between pixels that are classified it is interpolated. Returns (rows, cols, classes), NaN
    where nothing is near.
    """
    few = slice(None, None, coarse.factor)
    known, shares, guide = coarse.known, coarse.shares, coarse.guide[:, few, few]
    channels, places = len(guide), list(np.ndindex(known.shape))
    squares = [tuple(slice(max(i - radius, 0), i + radius + 1) for i in at) for at in places]
    lines = np.full((*known.shape, channels + 1, len(shares)), np.nan)
    for place, square in zip(places, squares, strict=True):
        inside = known[square]
        if not inside.any():
            continue
        x = guide[:, *square][:, inside].astype(float)
        y = shares[:, *square][:, inside].astype(float)
        middle, mean = x.mean(axis=1), y.mean(axis=1)
        spread = (x - middle[:, None]) @ (x - middle[:, None]).T / inside.sum()
        shared = (x - middle[:, None]) @ (y - mean[:, None]).T / inside.sum()
        slopes = np.linalg.solve(spread + FAINT * np.eye(channels), shared)
        lines[place] = np.concatenate([slopes, [mean - middle @ slopes]])
    smooth = np.full_like(lines, np.nan)
    for place, square in zip(places, squares, strict=True):
        around = lines[square].reshape(-1, channels + 1, len(shares))
        if not np.isnan(around).all():
            smooth[place] = np.nanmean(around, axis=0)
    result = np.full((*coarse.valid.shape, len(shares)), np.nan)
    last = np.array(known.shape) - 1
    for place in np.ndindex(coarse.valid.shape):
        first = np.array(place) // coarse.factor
        after = np.minimum(first + (np.array(place) % coarse.factor > 0), last)
        ends = [smooth[r, c] for r in (first[0], after[0]) for c in (first[1], after[1])]
        if not np.isnan(ends[0]).any():  # halfway between its neighbours
            values = np.append(coarse.guide[:, *place], 1)
            result[place] = values @ np.nan_to_num(ends).mean(axis=0)
    return result


def make_coarse(
    rows: int, cols: int, channels: int, factor: int, seed: int, share: float = 0.7
) -> CoarseProbabilities:
    """Noise, with holes; ``share`` of it is valid."""
    rng = np.random.default_rng(seed)
    valid = rng.random((rows, cols)) < share
    known = valid[::factor, ::factor]
    shares = rng.dirichlet(np.ones(3), known.shape).transpose(2, 0, 1).astype(np.float32) * known
    guide = rng.integers(0, 255, (channels, rows, cols)).astype(np.float32)
    lonely = valid & ~known.repeat(factor, 0).repeat(factor, 1)[:rows, :cols]
    own = np.where(lonely, rng.choice([2, 3, 7], (rows, cols)), NO_CLASS).astype(np.int32)
    return CoarseProbabilities(shares, known, guide, own, valid, factor)


NUMBERS = np.array([2, 3, 7], np.int32)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 3), st.integers(0, 3),
       st.sampled_from([1, 2]), st.sampled_from([0.1, 0.7]), st.integers(0, 99))  # fmt: skip
def test_smoothing_is_the_guided_filter(rows, cols, channels, radius, factor, share, seed):
    coarse = make_coarse(rows, cols, channels, factor, seed, share)
    found = smooth_classes(coarse, NUMBERS, radius)
    scores = guided(coarse, radius)
    for place in np.argwhere(coarse.valid):
        here = scores[*place]
        if np.isnan(here).any():
            assert found[*place] == coarse.own[*place] != NO_CLASS
            continue
        best = np.sort(here)
        if best[-1] - best[-2] > 1e-3:  # no tie but for rounding
            assert found[*place] == NUMBERS[here.argmax()]
    assert (found[~coarse.valid] == NO_CLASS).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 3), st.integers(1, 3),
       st.sampled_from([1, 2]), st.integers(2, 12), st.integers(0, 99))  # fmt: skip
def test_smoothing_strips_is_smoothing_the_whole(rows, cols, channels, radius, factor, side, seed):
    coarse = make_coarse(rows, cols, channels, factor, seed)
    block = (side * factor, (side + 1) * factor)
    parts = ((w, coarse.cropped(*w.slices())) for w in blocks((rows, cols), block))
    result = np.full((rows, cols), -9, np.int32)
    for window, values in smoothed_strips(parts, (rows, cols), NUMBERS, radius):
        assert (result[window.slices()] == -9).all()
        result[window.slices()] = values
    np.testing.assert_array_equal(result, smooth_classes(coarse, NUMBERS, radius))


@given(st.integers(0, 3), st.integers(1, 3), st.sampled_from([1, 2]), st.integers(0, 99))
def test_classes_within_the_border_depend_on_nothing_beyond(channels, radius, factor, seed):
    coarse = make_coarse(60, 60, channels, factor, seed)
    margin = border(radius, factor)
    inner = Window(24, 26, 10, 12)
    wide = inner.grown(margin).inside((60, 60))
    found = smooth_classes(coarse.cropped(*wide.slices()), NUMBERS, radius)
    whole = smooth_classes(coarse, NUMBERS, radius)
    np.testing.assert_array_equal(found[inner.slices((wide.row, wide.col))], whole[inner.slices()])


def picture(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A bright square on dark ground, (rows, cols, 1) bytes, and its classes 0 and 1."""
    truth = np.zeros((64, 64), np.int32)
    truth[17:43, 21:50] = 1
    noise = np.random.default_rng(seed).normal(0, 4, truth.shape)
    return np.clip(60 + 120 * truth + noise, 0, 254).astype(np.uint8)[..., None], truth


def rough_coarse(guide: FloatArray | None) -> tuple[CoarseProbabilities, np.ndarray]:
    """Classes that are noisy, and wrong along the border of the square, as blurred ones are."""
    features, truth = picture()
    shifted = np.roll(truth, (2, -2), (0, 1))
    shares = np.stack([1 - shifted, shifted]).astype(np.float32)
    noise = np.random.default_rng(1).random(truth.shape) < 0.15
    shares[:, noise] = 1 - shares[:, noise]
    everywhere = np.ones(truth.shape, bool)
    channels = features.transpose(2, 0, 1).astype(np.float32)
    guide_channels = channels if guide is not None else channels[:0]
    own = np.full(truth.shape, NO_CLASS, np.int32)
    few = shares[:, ::2, ::2], everywhere[::2, ::2]
    return CoarseProbabilities(*few, guide_channels, own, everywhere, 2), truth


def test_classes_end_where_the_image_has_an_edge():
    coarse, truth = rough_coarse(np.eye(1, dtype=np.float32))
    found = smooth_classes(coarse, np.array([0, 1], np.int32), 4)
    blurred = smooth_classes(rough_coarse(None)[0], np.array([0, 1], np.int32), 2)
    wrong = [(classes != truth).mean() for classes in (found, blurred)]
    assert wrong[0] < 0.012 < 0.06 < wrong[1]


@pytest.mark.parametrize("factor", [1, 2])
def test_what_is_known_nowhere_near_keeps_its_own_class(factor):
    rule = LinearClassifier(
        np.array([4, 9], np.int32),
        np.array([[-1, 1]], np.float32),
        np.array([100, -100], np.float32),
    )
    features = np.full((40, 40, 1), 200, np.uint8)
    valid = np.zeros((40, 40), bool)
    valid[21, 33] = True  # between the pixels that are classified
    clusters = np.zeros((40, 40), np.int32)
    coarse = classify_coarsely(rule, features, clusters, valid, None, factor)
    found = smooth_classes(coarse, rule.numbers, 2)
    assert found[21, 33] == 9
    assert (found == NO_CLASS).sum() == 40 * 40 - 1
