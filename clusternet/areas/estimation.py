"""Areas and accuracies from a stratified random sample, with their standard errors.

Olofsson, Foody, Herold, Stehman, Woodcock and Wulder (2014, Good practices for estimating area and
assessing accuracy of land change, Remote Sensing of Environment 148). Equations are cited by their
numbers there. The strata are the classes of the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from clusternet.metrics import Counts, Values

QUANTILE = 1.96
"""Of the standard normal distribution: an interval of 95 % reaches this many standard errors."""
_NEGLIGIBLE = 0.05
# Cochran (1977, Sampling techniques, section 2.6) lets the finite population correction be left out
# if the sample is at most this share of a stratum. The published equations leave it out.


@dataclass(frozen=True)
class StratifiedEstimate:
    """What a stratified random sample says of a map.

    Shares and accuracies are from 0 to 1. Standard errors are NaN where a class of the map has a
    single point, which tells no spread.
    """

    counts: Counts
    """(classes, classes) points: rows are classes of the map, columns those of the reference."""
    weights: Values
    """(classes,) share of each class in the area of the map, ``W`` in the equations."""
    pixels: Values
    """(classes,) pixels of each class of the map."""

    @cached_property
    def sizes(self) -> Values:
        """(classes,) points in each class of the map."""
        sizes: Values = self.counts.sum(axis=1).astype(float)
        return sizes

    @cached_property
    def within(self) -> Values:
        """(classes, classes) share of each reference class in the points of each map class."""
        shares: Values = self.counts / np.maximum(self.sizes, 1)[:, None]
        return shares

    @cached_property
    def matrix(self) -> Values:
        """(classes, classes) error matrix in shares of the area, equation 4."""
        matrix: Values = self.weights[:, None] * self.within
        return matrix

    @cached_property
    def shares(self) -> Values:
        """(classes,) share of each class in the area, adjusted for errors; equations 8 and 9."""
        shares: Values = self.matrix.sum(axis=0)
        return shares

    @cached_property
    def share_errors(self) -> Values:
        """(classes,) standard errors of ``shares``, equation 10."""
        return self.error_of(self.within)

    @cached_property
    def overall(self) -> float:
        """Overall accuracy, equation 1."""
        return float(np.trace(self.matrix))

    @cached_property
    def overall_error(self) -> float:
        """Standard error of the overall accuracy, equation 5."""
        return float(self.error_of(np.diag(self.within)[:, None])[0])

    @cached_property
    def users(self) -> Values:
        """(classes,) user's accuracy, equation 2; NaN for classes that the map lacks."""
        return np.where(self.sizes > 0, np.diag(self.within), np.nan)

    @cached_property
    def users_errors(self) -> Values:
        """(classes,) standard errors of the user's accuracy, equation 6."""
        return np.where(self.sizes > 0, np.sqrt(np.diag(self._variances)), np.nan)

    @cached_property
    def producers(self) -> Values:
        """(classes,) producer's accuracy, equation 3; NaN for classes without reference."""
        with np.errstate(invalid="ignore"):
            return np.diag(self.matrix) / self.shares

    @cached_property
    def producers_errors(self) -> Values:
        """(classes,) standard errors of the producer's accuracy, equation 7."""
        squared = self.weights[:, None] ** 2 * self._variances
        own = np.diag(squared)
        others = squared.sum(axis=0) - own
        with np.errstate(invalid="ignore", divide="ignore"):
            variances = (1 - self.producers) ** 2 * own + self.producers**2 * others
            errors: Values = np.sqrt(variances) / self.shares
        return errors

    def error_of(self, within: Values) -> Values:
        """Return the standard error of a share of the area.

        Args:
            within: (classes, shares) the share within the points of each map class.

        Returns:
            (shares,) the roots of the summed variances of the strata.
        """
        variances = self.weights[:, None] ** 2 * self._variances_of(within)
        errors: Values = np.sqrt(variances.sum(axis=0))
        return errors

    @cached_property
    def _variances(self) -> Values:
        return self._variances_of(self.within)

    def _variances_of(self, within: Values) -> Values:
        """Return the variance of shares within map classes; (classes, shares)."""
        freedom = np.where(self.sizes > 1, self.sizes - 1, np.nan)[:, None]
        variances = within * (1 - within) / freedom * self.corrections[:, None]
        known = (self.weights == 0) | (self.corrections == 0)  # nothing left to be uncertain of
        result: Values = np.where(known[:, None], 0, variances)
        return result

    @cached_property
    def corrections(self) -> Values:
        """(classes,) finite population corrections: 0 where all pixels of a class are points."""
        return population_correction(self.sizes, self.pixels)


def population_correction(sizes: Values, pixels: Values) -> Values:
    """Return the factor by which a variance is smaller because the population is finite.

    Args:
        sizes: (classes,) points.
        pixels: (classes,) pixels that they are drawn from.
    """
    drawn = sizes / np.maximum(pixels, 1)
    correction: Values = np.where(drawn > _NEGLIGIBLE, np.maximum(1 - drawn, 0), 1.0)
    return correction


def half_width(error: Values | float) -> Values:
    """Return the half width of the 95 % confidence interval of a standard error."""
    return QUANTILE * np.asarray(error)
