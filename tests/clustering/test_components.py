"""The leading components of the space of K-Means."""

from __future__ import annotations

import numpy as np
import pytest

from clusternet.clustering.components import fit_components
from clusternet.clustering.kmeans import Codebook

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def _two_components(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusternet.clustering.components.DIMENSIONS", 2)


def codebook(projection: np.ndarray) -> Codebook:
    depth = len(projection)
    offset = RNG.normal(size=depth).astype(np.float32)
    return Codebook(np.zeros((2, depth), np.float32), offset, projection.astype(np.float32))


def features(deviations: list[float], samples: int = 4000) -> np.ndarray:
    """Return samples whose axes are independent and have exactly these deviations."""
    values = RNG.normal(size=(samples, len(deviations)))
    values -= values.mean(axis=0)
    whitened = values @ np.linalg.inv(np.linalg.cholesky(np.cov(values.T)).T)
    return (whitened * deviations).astype(np.float32)


def test_the_directions_of_the_largest_variance_after_the_projection_are_kept() -> None:
    # before the projection the first axis varies most, after it the second and the third
    values = features([9, 5, 4, 1, 1, 1])
    book = codebook(np.diag([0.01, 1, 1, 0.1, 0.1, 0.1]))
    found = fit_components(values, book)
    assert found is not None and found.count == 2
    np.testing.assert_allclose(np.abs(found.axes), np.eye(6)[:, 1:3], atol=1e-3)
    assert (found.axes[[1, 2], [0, 1]] > 0).all()
    made = (values - book.offset) @ found.axes
    np.testing.assert_allclose(
        found.range, np.percentile(made, (0.5, 99.5), axis=0), rtol=1e-4, atol=1e-4
    )


def test_distances_are_those_that_kmeans_compares() -> None:
    values = features([8, 7, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    book = codebook(np.linalg.qr(RNG.normal(size=(8, 8)))[0])
    found = fit_components(values, book)
    assert found is not None and found.count == 2
    expected = np.linalg.norm(np.diff(book.transform(values), axis=0), axis=1)
    components = (values - book.offset) @ found.axes
    made = np.linalg.norm(np.diff(components, axis=0), axis=1)
    np.testing.assert_allclose(made, expected, atol=0.5)
    assert np.corrcoef(made, expected)[0, 1] > 0.999


def test_a_space_that_is_whitened_is_not_reduced() -> None:
    values = features([9, 5, 4, 1, 1, 1])
    whitening = np.diag(1 / values.std(axis=0))
    assert fit_components(values, codebook(whitening)) is None


def test_features_that_are_compared_as_they_are_are_not_reduced() -> None:
    assert fit_components(features([9, 1, 1, 1]), codebook(np.eye(4))) is None


def test_a_space_of_few_dimensions_is_not_reduced() -> None:
    assert fit_components(features([9, 5, 1]), codebook(2 * np.eye(3))) is None
