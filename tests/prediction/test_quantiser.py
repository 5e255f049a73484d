"""What is stored of a pixel, in bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import random_run

from clusternet.clustering.components import Components, fit_components
from clusternet.prediction.quantiser import Quantiser
from clusternet.training.run import Run, load_run

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_run.make_run(tmp_path_factory.mktemp("run") / "network", fixed_filters=True)


def of_two_directions(run: Run) -> tuple[Run, np.ndarray]:
    """Return the run with a space that two directions fill nearly, and features of pixels."""
    depth = len(run.stored.codebook.offset)
    directions = np.linalg.qr(RNG.normal(size=(depth, depth)))[0]
    projection = (directions @ np.diag([5.0, 3.0, *[0.05] * (depth - 2)])).astype(np.float32)
    features = RNG.normal(size=(3000, depth)).astype(np.float32)
    book = replace(
        run.stored.codebook,
        projection=projection,
        centroids=((features[:6] - run.stored.codebook.offset) @ projection).astype(np.float32),
    )
    ends = np.percentile(features, (0.5, 99.5), axis=0).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clusternet.clustering.components.DIMENSIONS", 2)
        components = fit_components(features, book)
    stored = replace(run.stored, codebook=book, feature_range=ends, components=components)
    return replace(run, stored=stored), features


def test_components_and_bands_are_stored(folder: Path) -> None:
    run, features = of_two_directions(load_run(folder))
    quantiser = Quantiser.compact(run)
    assert quantiser.names == [
        "component 1", "component 2", "feature 7", "feature 8", "feature 9",
    ]  # fmt: skip
    stored = quantiser.quantise(features)
    assert stored.shape == (3000, 5) and quantiser.depth == 5
    values = stored * quantiser.step + quantiser.low
    inside = (stored > 0) & (stored < 254)
    assert inside.mean() > 0.98
    axes = run.stored.components.axes
    expected = np.hstack([features @ axes, features[:, 6:9]])
    worst = np.abs(values - expected).max(axis=0, where=inside, initial=0)
    assert (worst <= quantiser.step * 0.501).all()


def test_distances_in_bytes_are_those_of_kmeans(folder: Path) -> None:
    run, features = of_two_directions(load_run(folder))
    quantiser = Quantiser.compact(run)
    stored = quantiser.quantise(features).astype(np.float32)
    inside = ((stored > 0) & (stored < 254)).all(axis=1)
    made = np.linalg.norm(np.diff(stored[inside] @ quantiser.projection, axis=0), axis=1)
    exact = run.stored.codebook.transform(features[inside])
    np.testing.assert_allclose(made, np.linalg.norm(np.diff(exact, axis=0), axis=1), atol=0.5)


def test_centroids_are_where_pixels_of_their_features_are(folder: Path) -> None:
    run, features = of_two_directions(load_run(folder))  # its centroids are the first six pixels
    quantiser = Quantiser.compact(run)
    stored = quantiser.quantise(features[:6]).astype(float)
    expected = quantiser.centroids.clip(0, 254)
    np.testing.assert_allclose(stored, expected, atol=0.6)


def test_the_guide_is_the_bands(folder: Path) -> None:
    run, _ = of_two_directions(load_run(folder))
    assert np.argwhere(Quantiser.compact(run).guide).tolist() == [[2, 0], [3, 1], [4, 2]]


def test_a_window_and_its_parts_have_the_same_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = of_two_directions(load_run(folder))
    quantiser = Quantiser.compact(run)
    features = RNG.normal(size=(64, 70, len(run.stored.codebook.offset))).astype(np.float32)
    whole = quantiser.quantise(features)
    monkeypatch.setattr("clusternet.prediction.quantiser._AT_ONCE", 111)
    np.testing.assert_array_equal(quantiser.quantise(features), whole)
    rows = np.concatenate([quantiser.quantise(row[None]) for row in features])
    np.testing.assert_array_equal(rows, whole)
    np.testing.assert_array_equal(quantiser.quantise(features[3:5, 7:8]), whole[3:5, 7:8])


def test_a_run_without_components_stores_every_feature(folder: Path) -> None:
    run = load_run(folder)
    assert run.stored.components is None
    quantiser = Quantiser.compact(run)
    assert quantiser.depth == len(run.stored.codebook.offset)
    assert quantiser.names[0] == "feature 1"
    features = RNG.normal(size=(20, quantiser.depth)).astype(np.float32)
    np.testing.assert_array_equal(
        quantiser.quantise(features), Quantiser.of_run(run).quantise(features)
    )


def test_components_come_back_from_the_run_folder(tmp_path: Path, folder: Path) -> None:
    from clusternet.training.stored_codebook import read_codebook, write_codebook

    run, _ = of_two_directions(load_run(folder))
    write_codebook(tmp_path / "codebook.npz", run.stored, "digest")
    read, _ = read_codebook(tmp_path / "codebook.npz")
    assert isinstance(read.components, Components)
    np.testing.assert_array_equal(read.components.axes, run.stored.components.axes)
    np.testing.assert_array_equal(read.components.range, run.stored.components.range)
