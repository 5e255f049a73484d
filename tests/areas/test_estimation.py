"""The estimators give the figures of a published example, and intervals that hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from clusternet.areas.estimation import QUANTILE, StratifiedEstimate, half_width
from clusternet.areas.planning import points_for_accuracy, points_for_areas

# The worked example of Olofsson et al. (2014), section 5: deforestation, forest gain, stable
# forest, stable non-forest; 640 points on a map of 10 million pixels.
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
WEIGHTS = np.array([0.020, 0.015, 0.320, 0.645])
PIXELS = 10_000_000
PUBLISHED = StratifiedEstimate(COUNTS, WEIGHTS, WEIGHTS * PIXELS)


def test_the_published_areas_and_their_intervals() -> None:
    assert COUNTS.sum() == 640
    assert PUBLISHED.shares[0] * PIXELS == pytest.approx(235_086, abs=1)
    assert half_width(PUBLISHED.share_errors)[0] * PIXELS == pytest.approx(68_418, abs=1)
    hectares = half_width(PUBLISHED.share_errors)[0] * PIXELS * 0.09  # pixels of 30 m
    assert hectares == pytest.approx(6158, abs=1)
    assert PUBLISHED.shares.sum() == pytest.approx(1)


def test_the_published_accuracies_and_their_intervals() -> None:
    def rounded(values: np.ndarray) -> list[float]:
        return np.round(values, 2).tolist()

    assert rounded(PUBLISHED.users) == [0.88, 0.73, 0.93, 0.96]
    assert rounded(half_width(PUBLISHED.users_errors)) == [0.07, 0.10, 0.04, 0.02]
    assert rounded(PUBLISHED.producers) == [0.75, 0.85, 0.93, 0.96]
    assert rounded(half_width(PUBLISHED.producers_errors)) == [0.21, 0.25, 0.03, 0.02]
    assert round(PUBLISHED.overall, 2) == 0.95
    assert round(float(half_width(PUBLISHED.overall_error)), 2) == 0.02


def test_intervals_hold_the_truth_in_95_of_100_samples() -> None:
    # a population of a map and a truth, as shares of pixels within the classes of the map
    within = np.array([[0.85, 0.05, 0.10], [0.02, 0.95, 0.03], [0.10, 0.20, 0.70]])
    weights = np.array([0.15, 0.6, 0.25])
    truth = weights @ within
    accuracy = weights @ np.diag(within)
    users = np.diag(within)
    producers = weights * users / truth
    rng = np.random.default_rng(1)
    hits = []
    for _ in range(2000):
        counts = np.stack([rng.multinomial(200, row) for row in within])
        estimate = StratifiedEstimate(counts, weights, weights * 1e6)
        hits.append([
            *(abs(estimate.shares - truth) <= QUANTILE * estimate.share_errors),
            abs(estimate.overall - accuracy) <= QUANTILE * estimate.overall_error,
            *(abs(estimate.users - users) <= QUANTILE * estimate.users_errors),
            *(abs(estimate.producers - producers) <= QUANTILE * estimate.producers_errors),
        ])  # fmt: skip
    coverage = np.mean(hits, axis=0)
    assert coverage[[0, 1, 2, 3]] == pytest.approx(0.95, abs=0.015)
    assert coverage.min() > 0.9  # of binomial shares near 1 these intervals are known to be short


def test_classes_whose_pixels_are_all_points_are_known_without_error() -> None:
    counts = np.array([[4, 0], [5, 45]])
    estimate = StratifiedEstimate(counts, np.array([0.01, 0.99]), np.array([4.0, 400.0]))
    assert estimate.users_errors[0] == 0
    # of the other class 50 of 400 pixels are points, more than one may neglect
    assert estimate.users_errors[1] == pytest.approx(np.sqrt(0.9 * 0.1 / 49 * (1 - 50 / 400)))


def test_a_class_with_a_single_point_has_no_interval() -> None:
    estimate = StratifiedEstimate(
        np.array([[1, 0], [5, 45]]), np.array([0.1, 0.9]), np.array([1e4, 1e5])
    )
    assert np.isnan(estimate.users_errors[0])
    assert np.isnan(estimate.overall_error)


def test_the_points_that_are_added_give_the_wanted_interval_and_no_fewer_do() -> None:
    margin = 0.15
    more = points_for_areas(PUBLISHED, margin)
    for k, added in enumerate(more.T):
        reached = _with(added, PUBLISHED.within[:, k])
        assert reached <= margin * PUBLISHED.shares[k] * 1.001
        largest = added.argmax()
        if added[largest]:
            fewer = added - np.bincount([largest], [0.05 * added.sum() + 1], 4).astype(int)
            assert _with(fewer, PUBLISHED.within[:, k]) > margin * PUBLISHED.shares[k]
    assert more[:, 2].sum() == 0  # stable forest is known better than that already
    for_accuracy = points_for_accuracy(PUBLISHED, 0.01)
    assert _with(for_accuracy, np.diag(PUBLISHED.within)) <= 0.01
    assert points_for_accuracy(PUBLISHED, 0.02).sum() == 0


def _with(added: np.ndarray, within: np.ndarray) -> float:
    """Return the half width with more points of the same shares."""
    sizes = PUBLISHED.sizes + added
    return QUANTILE * float(np.sqrt((WEIGHTS**2 * within * (1 - within) / (sizes - 1)).sum()))
