"""How many more points a confidence interval of a wanted width needs."""

from __future__ import annotations

import numpy as np

from clusternet.areas.estimation import QUANTILE, StratifiedEstimate, population_correction
from clusternet.metrics import Counts, Values


def points_for_areas(estimate: StratifiedEstimate, margin: float) -> Counts:
    """Return how many points must be added in each map class, for the area of each class.

    Args:
        estimate: what the points so far say.
        margin: wanted half width of each interval, as a share of the area of the class.

    Returns:
        (map classes, classes) points to add, for each class; one sample serves several classes, so
        the largest number of each row serves all.
    """
    columns = [
        _more(estimate, estimate.within[:, k], margin * float(estimate.shares[k]))
        for k in range(len(estimate.shares))
    ]
    return np.stack(columns, axis=1)


def points_for_accuracy(estimate: StratifiedEstimate, margin: float) -> Counts:
    """Return how many points must be added in each map class, for the overall accuracy.

    Args:
        estimate: what the points so far say.
        margin: wanted half width of the interval, from 0 to 1.

    Returns:
        (map classes,) points to add.
    """
    return _more(estimate, np.diag(estimate.within), margin)


def _more(estimate: StratifiedEstimate, within: Values, margin: float) -> Counts:
    """Return the fewest points to add; (map classes,).

    Equation 13 of Olofsson et al. (2014) gives the size of a new sample whose points are best
    spread over the strata, in proportion to W S. Here points exist already. So each stratum gets
    ``max(points so far, rate W S)``, with the smallest rate that gives the wanted interval.
    """
    present = np.asarray(estimate.sizes)
    if margin <= 0 or QUANTILE * estimate.error_of(within[:, None])[0] <= margin:
        return np.zeros(len(present), int)
    spread = estimate.weights * np.sqrt(within * (1 - within))

    def sizes(rate: float) -> Values:
        wanted = np.ceil(np.maximum(present, rate * spread))
        return np.minimum(wanted, np.maximum(estimate.pixels, present))

    def is_enough(rate: float) -> bool:
        of_rate = sizes(rate)
        correction = population_correction(of_rate, estimate.pixels)
        variance = (spread**2 / np.maximum(of_rate - 1, 1) * correction).sum()
        return bool(QUANTILE * np.sqrt(variance) <= margin)

    low, high = 0.0, 1.0
    while not is_enough(high) and high < 1e15:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return (sizes(high) - present).astype(int)
