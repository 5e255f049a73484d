"""The sample that K-Means sees is uniform over valid pixels, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clusternet.clustering.sampling import (
    REACH,
    Sample,
    SamplePlan,
    join_samples,
    neighbours,
    plan_sample,
)

valid_counts = st.lists(st.integers(1, 5000), min_size=1, max_size=40).map(np.array)
wanted = st.integers(1, 100_000)
some_patches = st.integers(1, 50)
seeds = st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 5), st.integers(0, 1000))


def usable(counts: np.ndarray) -> np.ndarray:
    """Return indexes that differ from the places in ``counts``."""
    return np.arange(len(counts)) * 3 + 7


@given(valid_counts, wanted, some_patches, seeds)
def test_quotas_never_exceed_what_a_patch_has(counts, num_samples, num_patches, seed) -> None:
    plan = plan_sample(usable(counts), counts, num_samples, num_patches, seed)
    available = dict(zip(usable(counts).tolist(), counts.tolist(), strict=True))
    assert all(0 < quota <= available[patch] for patch, quota in plan.quotas.items())


@given(valid_counts, wanted, some_patches, seeds)
def test_quotas_add_up_to_what_is_wanted(counts, num_samples, num_patches, seed) -> None:
    plan = plan_sample(usable(counts), counts, num_samples, num_patches, seed)
    total = sum(plan.quotas.values())
    assert total <= num_samples and len(plan.quotas) <= num_patches
    if num_patches >= len(counts):  # no patch is left out by chance
        assert total == min(num_samples, counts.sum())


@given(valid_counts, wanted, some_patches, seeds)
def test_the_same_seed_gives_the_same_plan(counts, num_samples, num_patches, seed) -> None:
    plans = [plan_sample(usable(counts), counts, num_samples, num_patches, seed) for _ in range(2)]
    assert plans[0] == plans[1] and plans[0].patches.tolist() == list(plans[1].quotas)


def test_another_seed_gives_another_plan() -> None:
    counts = np.full(30, 500)
    plans = [plan_sample(np.arange(30), counts, 300, 10, (1, 1, epoch)) for epoch in range(2)]
    assert plans[0].quotas != plans[1].quotas


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32), seeds)
def test_positions_are_valid_sorted_and_unique(rows, cols, noise, seed) -> None:
    valid = np.random.default_rng(noise).random((rows, cols)) < 0.6
    valid[0, 0] = True
    plan = SamplePlan({4: max(1, int(valid.sum()) // 2)}, seed)
    positions = plan.positions(4, valid)
    assert len(positions) == plan.quotas[4] and positions.dtype == np.int32
    assert (np.diff(positions) > 0).all()
    assert valid[positions // cols, positions % cols].all()
    np.testing.assert_array_equal(positions, plan.positions(4, valid))


def test_no_patch_is_sampled_by_the_draw_that_chose_the_patches() -> None:
    valid = np.ones((30, 30), bool)
    plan = SamplePlan({0: 200}, (1, 1, 1))
    rng = np.random.default_rng(plan.seed)
    same = np.sort(rng.choice(np.flatnonzero(valid), 200, replace=False))
    assert plan.positions(0, valid).tolist() != same.tolist()


def test_two_patches_are_not_sampled_at_the_same_places() -> None:
    plan = SamplePlan({0: 50, 1: 50}, (1,))
    valid = np.ones((40, 40), bool)
    assert plan.positions(0, valid).tolist() != plan.positions(1, valid).tolist()


@given(st.dictionaries(st.integers(0, 9), st.integers(1, 10**6), min_size=1))
def test_rows_hold_the_largest_quota_and_are_a_power_of_two(quotas) -> None:
    length = SamplePlan(quotas, (1,)).row_length
    assert max(quotas.values()) <= length < 2 * max(quotas.values())
    assert length & (length - 1) == 0


def test_every_pixel_is_as_likely_whatever_patch_it_lies_in() -> None:
    masks = [np.ones((2, 5), bool), np.eye(6, dtype=bool), np.ones((8, 8), bool)]
    counts = np.array([mask.sum() for mask in masks])
    hits = [np.zeros(mask.shape, int) for mask in masks]
    draws = 3000
    for draw in range(draws):
        plan = plan_sample(np.arange(3), counts, 20, 3, (1, draw))
        for patch in plan.quotas:
            hits[patch].ravel()[plan.positions(patch, masks[patch])] += 1
    seen = np.concatenate([hit[mask] for hit, mask in zip(hits, masks, strict=True)])
    assert seen.sum() == 20 * draws
    # drawn without replacement, so the spread is below that of the chi-square distribution
    expected = 20 * draws / counts.sum()
    statistic = ((seen - expected) ** 2 / expected).sum()
    assert statistic < stats.chi2.ppf(0.9999, len(seen) - 1)
    assert statistic > stats.chi2.ppf(0.0001, len(seen) - 1) * (1 - 20 / counts.sum())


@pytest.mark.parametrize("most", [999_999_999, 1_000_000_000, 1_000_000_001])
def test_the_largest_urn_is_drawn_from(most: int) -> None:
    counts = np.array([most - 500_000_000, 500_000_000])
    plan = plan_sample(np.arange(2), counts, 10_000, 2, (1,))
    assert sum(plan.quotas.values()) == 10_000
    assert min(plan.quotas.values()) > 4_700


def test_so_many_pixels_that_numpy_refuses_are_sampled_too() -> None:
    counts = np.full(200, 2**24)
    plan = plan_sample(np.arange(200), counts, 25_600, 200, (1,))
    assert sum(plan.quotas.values()) == 25_600
    assert plan.row_length <= 256


@pytest.mark.parametrize("num_samples", [10, 1000])
def test_a_single_patch_is_enough(num_samples: int) -> None:
    plan = plan_sample(np.array([5]), np.array([100]), num_samples, 64, (1,))
    assert plan.quotas == {5: min(num_samples, 100)}


def test_neighbours_lie_a_reach_below_and_to_the_right() -> None:
    valid = np.ones((40, 30), bool)
    valid[5 + REACH, 3] = False
    positions = np.array([5 * 30 + 3, 39 * 30 + 0, 0 * 30 + 29], np.int32)
    here, there = neighbours(positions, valid)
    # the first has none below, for want of data; the second none below; the third only below
    pairs = {
        (5 * 30 + 3, 5 * 30 + 3 + REACH),
        (39 * 30, 39 * 30 + REACH),
        (29, REACH * 30 + 29),
    }
    assert set(zip(here.tolist(), there.tolist(), strict=True)) == pairs


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_neighbours_are_those_of_brute_force(rows: int, cols: int, noise: int) -> None:
    rng = np.random.default_rng(noise)
    valid = rng.random((rows, cols)) < 0.8
    positions = np.flatnonzero(valid & (rng.random((rows, cols)) < 0.5)).astype(np.int32)
    here, there = neighbours(positions, valid)
    pairs = [
        (int(at), (row + down) * cols + col + across)
        for down, across in ((REACH, 0), (0, REACH))
        for at, row, col in zip(positions, positions // cols, positions % cols, strict=True)
        if row + down < rows and col + across < cols and valid[row + down, col + across]
    ]
    assert list(zip(here.tolist(), there.tolist(), strict=True)) == pairs
    assert here.dtype == there.dtype == np.int32


def test_samples_are_joined_in_order() -> None:
    rng = np.random.default_rng(0)
    parts = [Sample(rng.random((n, 3)), rng.random((2 * n, 3))) for n in (2, 1, 4)]
    joined = join_samples(parts)
    np.testing.assert_array_equal(joined.features[2], parts[1].features[0])
    np.testing.assert_array_equal(joined.features[3:], parts[2].features)
    np.testing.assert_array_equal(joined.differences[6:], parts[2].differences)
    assert joined.features.shape == (7, 3) and joined.differences.shape == (14, 3)


def test_small_patches_have_no_neighbours() -> None:
    here, there = neighbours(np.arange(64, dtype=np.int32), np.ones((8, 8), bool))
    assert len(here) == len(there) == 0
