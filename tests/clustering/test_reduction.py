"""A backbone's levels count alike, however many features they have and however large these are."""

from __future__ import annotations

import numpy as np
import pytest

from clusternet.clustering.reduction import LevelMoments, Reduction
from clusternet.errors import ClusteringError


def fitted(features: np.ndarray, depths: list[int], dimensions: int = 64) -> Reduction:
    moments = LevelMoments(depths)
    for part in np.array_split(features, 7):
        moments.add(part)
    return moments.fit(dimensions)


def test_it_is_pca_of_the_standardised_levels() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 7)) @ rng.normal(size=(7, 7)) * 10.0 ** np.arange(7) + 300
    features = features.astype(np.float32)
    found = fitted(features, [2, 5], 4)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    standard *= np.repeat([2, 5], [2, 5]) ** -0.5
    _, spread, axes = np.linalg.svd(standard, full_matrices=False)
    reduced = (features - found.offset) @ found.projection
    assert found.num_features == 4
    np.testing.assert_allclose(np.abs(reduced), np.abs(standard @ axes[:4].T), atol=1e-3)
    np.testing.assert_allclose(reduced.std(axis=0), spread[:4] / 500**0.5, rtol=1e-3)


def test_no_more_dimensions_are_kept_than_features_vary() -> None:
    features = np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32)
    features = np.column_stack([features, features[:, 0], np.full(300, 7, np.float32)])
    found = fitted(features, [5])
    assert found.num_features == 3 and (found.projection[4] == 0).all()


def test_equal_samples_give_an_equal_reduction() -> None:
    features = np.random.default_rng(2).normal(size=(300, 6)).astype(np.float32)
    one, other = fitted(features, [6]), fitted(-features, [6])
    # the sign of an axis is arbitrary: it is always chosen in the same way
    np.testing.assert_allclose(one.projection, other.projection, atol=1e-4)


@pytest.mark.parametrize(
    ("value", "message"), [(7.0, "gives all pixels the same features"), (np.nan, "NaN or infinite")]
)
def test_features_that_tell_nothing_are_refused(value: float, message: str) -> None:
    with pytest.raises(ClusteringError, match=message):
        fitted(np.full((50, 4), value, np.float32), [4])
