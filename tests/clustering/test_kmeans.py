"""K-Means and the codebook, against results worked out by hand and against brute force."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from clusternet.clustering.feature_transform import (
    FeatureTransform,
    Sides,
    fit_feature_transform,
    fit_scaled_transform,
    fit_scales,
)
from clusternet.clustering.kmeans import Codebook, cluster, cluster_means
from clusternet.errors import ClusteringError
from clusternet.settings import TrainingSettings

# Two pairs: the best two centroids are their middles, each point 0.5 away: objective 0.25.
PAIRS = np.array([[0, 0], [0, 1], [10, 0], [10, 1]], np.float32)


def test_two_pairs_give_their_middles() -> None:
    found = cluster(PAIRS, 2, initial_labels=np.array([0, 0, 1, 1], np.int32))
    middles = found.codebook.centroids + found.codebook.offset
    middles = middles[middles[:, 0].argsort()]
    np.testing.assert_allclose(middles, [[0, 0.5], [10, 0.5]])
    assert found.objective == pytest.approx(0.25)
    assert sorted(found.sizes) == [2, 2]


def test_clusters_keep_their_numbers_when_features_move() -> None:
    for labels in ([0, 0, 1, 1], [1, 1, 0, 0]):
        before = np.array(labels, np.int32)
        np.testing.assert_array_equal(
            cluster(3 * PAIRS - 7, 2, initial_labels=before).assignment, before
        )


def test_means_leave_out_samples_without_a_cluster() -> None:
    means = cluster_means(PAIRS, np.array([0, -1, 1, 1], np.int32), 2, seed=1)
    np.testing.assert_allclose(means, [[0, 0], [10, 0.5]])


def test_a_cluster_without_samples_starts_at_one_of_them() -> None:
    means = cluster_means(PAIRS, np.array([0, 0, 0, 0], np.int32), 2, seed=1)
    np.testing.assert_allclose(means[0], [5, 0.5])
    assert means[1].tolist() in PAIRS.tolist()


def test_an_empty_cluster_is_counted() -> None:
    twins = np.array([[0, 0], [0, 0], [5, 5]], np.float32)
    found = cluster(twins, 3)
    assert (found.sizes == 0).sum() == 1
    assert found.sizes.sum() == 3


@pytest.mark.parametrize("seed", range(4))
def test_every_cluster_has_a_size_also_the_last_if_it_is_empty(seed: int) -> None:
    for twins in (2, 4, 7):
        points = np.array([[0, 0]] * twins + [[5, 2]], np.float32)
        found = cluster(points, 3, seed=seed)
        assert found.sizes.tolist() == [(found.assignment == k).sum() for k in range(3)]
        assert found.sizes.dtype == np.int32


def test_same_seed_gives_the_same_codebook() -> None:
    features = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    first, second = (cluster(features, 7, seed=3).codebook.centroids for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_another_seed_starts_from_other_points() -> None:
    features = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    first, other = (cluster(features, 7, seed=seed).codebook.centroids for seed in (3, 4))
    assert np.abs(first - other).max() > 0.1
    labels = np.zeros(500, np.int32)  # all but one cluster start at random points
    one, two = (cluster_means(features, labels, 3, seed=seed) for seed in (3, 4))
    np.testing.assert_array_equal(one[0], two[0])
    assert (one[1:] != two[1:]).all()
    first, again, other = (
        cluster(features, 3, iterations=1, seed=seed, initial_labels=labels).codebook.centroids
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_k_means_is_by_default_that_of_the_settings_by_default() -> None:
    features = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    settings = TrainingSettings()
    given = cluster(
        features, 30, iterations=settings.kmeans_iterations, seed=settings.seed
    ).codebook.centroids
    np.testing.assert_array_equal(cluster(features, 30).codebook.centroids, given)


def test_assigning_centroids_gives_their_own_numbers() -> None:
    codebook = cluster(
        np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32), 7
    ).codebook
    centroids = codebook.centroids + codebook.offset
    np.testing.assert_array_equal(codebook.assign(centroids), np.arange(7))


def pair(transform: FeatureTransform) -> tuple[np.ndarray, np.ndarray]:
    """Return the offset and the projection of a transform."""
    return transform.offset, transform.projection


def brute_force(codebook: Codebook, features: np.ndarray) -> np.ndarray:
    """Return the nearest centroid of each feature, all in 64 bits."""
    points = (features.astype(np.float64) - codebook.offset) @ codebook.projection.astype(float)
    distances = np.linalg.norm(points[:, None] - codebook.centroids.astype(float), axis=-1)
    return distances.argmin(axis=1)


@pytest.mark.parametrize("transform", ["none", "standardise", "whiten", "neighbours"])
@pytest.mark.parametrize("mean", [3, -100, 1000, 1e5])
def test_labels_are_those_of_brute_force_however_large_the_mean(
    transform: str, mean: float
) -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(2000, 16)) @ rng.normal(size=(16, 16)) * 0.25 + mean
    features = features.astype(np.float32)
    fitted = fit_scaled_transform(features, features[1:] - features[:-1], transform)
    codebook = cluster(features, 20, transform=fitted, iterations=5).codebook
    expected = brute_force(codebook, features)
    offset, kernel, bias = codebook.convolution()
    scores = (features - offset) @ kernel + bias
    assert scores.dtype == np.float32
    for found in (scores.argmax(axis=1), codebook.assign(features)):
        assert (found != expected).mean() < 0.002  # two centroids may be equally near


def test_parts_of_a_large_sample_are_assigned_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(2).normal(size=(70_000, 2)).astype(np.float32)
    codebook = cluster(features[:200], 5).codebook
    expected = brute_force(codebook, features)
    sizes, transform = [], Codebook.transform

    def watch(self: Codebook, part: np.ndarray) -> np.ndarray:
        sizes.append(len(part))
        return transform(self, part)

    monkeypatch.setattr(Codebook, "transform", watch)
    assert (codebook.assign(features) == expected).mean() > 0.999
    assert sum(sizes) == 70_000 and len(sizes) > 1  # memory: few are transformed at a time


def test_overwriting_features_changes_no_label() -> None:
    features = np.random.default_rng(3).normal(7, size=(300, 4)).astype(np.float32)
    kept = features.copy()
    labels = [cluster(kept, 6, overwrite=o).assignment.tolist() for o in (False, True)]
    assert labels[0] == labels[1]
    assert not np.array_equal(kept, features)


@pytest.mark.parametrize("size", [1e-4, 1, 1e4])
def test_whitening_removes_scale_and_correlation(size: float) -> None:
    rng = np.random.default_rng(2)
    mixing = np.array([[1, 10, 50], [0, 10, 100], [0, 0, 100]]) * size
    features = (rng.normal(size=(5000, 3)) @ mixing + 7 * size).astype(np.float32)
    offset, projection = pair(fit_feature_transform(features, "whiten"))
    white = (features - offset) @ projection
    np.testing.assert_allclose(np.cov(white, rowvar=False), np.eye(3), atol=0.02)


@pytest.mark.parametrize("size", [1e-4, 1, 1e4])
def test_standardising_scales_each_feature_by_itself(size: float) -> None:
    rng = np.random.default_rng(2)
    features = (rng.normal(size=(5000, 2)) @ np.array([[1, 10], [0, 10]]) * size + 7 * size).astype(
        np.float32
    )
    offset, projection = pair(fit_feature_transform(features, "standardise"))
    assert not projection[~np.eye(2, dtype=bool)].any()
    np.testing.assert_allclose(((features - offset) @ projection).std(axis=0), 1, rtol=1e-3)


@pytest.mark.parametrize("num_learned", [None, 2])
@pytest.mark.parametrize("kind", ["none", "standardise", "whiten", "neighbours"])
def test_a_shift_of_all_features_is_taken_off_and_changes_nothing_else(
    kind: str, num_learned: int | None
) -> None:
    rng = np.random.default_rng(9)
    shift = 2**14  # and so little digits that float32 holds all of them beside it
    features = np.round(rng.normal(size=(20_000, 4)) @ rng.normal(size=(4, 4)) * 64) / 64
    spaces = []
    for moved in (features, features + shift):
        moved = moved.astype(np.float32)
        differences = moved[1:] - moved[:-1]
        spaces.append(
            pair(
                fit_scaled_transform(
                    moved, differences, kind, None if num_learned is None else Sides(num_learned)
                )
            )
        )
    (offset, projection), (moved_offset, same) = spaces
    np.testing.assert_allclose(offset, features.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(moved_offset - shift, offset, atol=2e-3)
    np.testing.assert_allclose(np.abs(same), np.abs(projection), rtol=1e-3, atol=1e-5)


def test_what_neighbours_differ_in_counts_less() -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(5000, 2)).astype(np.float32)
    # neighbours are alike in the first feature, and in the second as unlike as any two pixels
    differences = (rng.normal(size=(5000, 2)) * [1 / 8, 1]).astype(np.float32)
    projection = fit_feature_transform(features, "neighbours", differences).projection
    spread = np.linalg.norm(projection, axis=1)
    assert spread[0] / spread[1] == pytest.approx(8 ** (2 / 3), rel=0.05)


@pytest.mark.parametrize("size", [1e-4, 1, 1e4])
def test_features_are_divided_by_a_power_of_what_neighbours_differ_in(size: float) -> None:
    differences = np.array([[size, 0], [-size, 0], [0, 8 * size], [0, -8 * size]], np.float32)
    features = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    projection = fit_feature_transform(features, "neighbours", differences).projection
    deviation = np.sqrt((differences.astype(float) ** 2).mean(axis=0))
    spread = np.linalg.norm(projection, axis=1)
    np.testing.assert_allclose(spread, deviation ** (-2 / 3), rtol=0.02)


def test_without_neighbours_nothing_is_scaled() -> None:
    features = np.random.default_rng(3).normal(size=(50, 2)).astype(np.float32)
    projection = fit_feature_transform(features, "neighbours", features[:0]).projection
    np.testing.assert_array_equal(projection, np.eye(2))


def test_learned_features_and_filters_weigh_what_is_asked() -> None:
    rng = np.random.default_rng(4)
    features = (rng.normal(size=(4000, 6)) * [1, 2, 3, 40, 50, 0]).astype(np.float32) + 7
    offset, projection = pair(fit_scales(features, Sides(3, 0.5)))
    scaled = (features - offset) @ projection
    assert scaled[:, :3].var(axis=0).sum() == pytest.approx(0.25, rel=1e-3)
    np.testing.assert_allclose(scaled[:, 3:].var(axis=0), [0.5, 0.5, 0], rtol=1e-3)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)


def test_a_space_of_scaled_features_is_one_step() -> None:
    rng = np.random.default_rng(5)
    features = rng.normal(size=(500, 4)).astype(np.float32) * [1, 2, 30, 4]
    features, differences = features.astype(np.float32), features[1:] - features[:-1]
    transform = fit_scaled_transform(features, differences, "neighbours", Sides(2))
    first, scales = pair(fit_scales(features, Sides(2)))
    scaled, local = (features - first) @ scales, differences @ scales
    turn = fit_feature_transform(scaled, "neighbours", local).projection
    np.testing.assert_allclose(
        transform.apply(features), (features - first) @ scales @ turn, atol=1e-4
    )


@pytest.mark.parametrize("value", [4, 12345.678])
def test_a_constant_feature_counts_for_nothing(value: float) -> None:
    features = np.random.default_rng(0).normal(size=(20_000, 3)).astype(np.float32)
    features[:, 1] = value
    for transform in (
        fit_feature_transform(features, "standardise"),
        fit_scales(features, Sides(0)),
    ):
        projection = transform.projection
        assert np.isfinite(projection).all() and projection[0, 0] > 0.1
        assert projection[1, 1] == 0


def test_fewer_samples_than_clusters_are_refused() -> None:
    with pytest.raises(ClusteringError, match="found 4"):
        cluster(PAIRS, 5)


def test_features_that_are_not_finite_are_refused() -> None:
    broken = PAIRS.copy()
    broken[1, 1] = np.nan
    with pytest.raises(ClusteringError, match="diverged"):
        cluster(broken, 2)


def test_equal_features_are_refused() -> None:
    with pytest.raises(ClusteringError, match="same features"):
        cluster(np.ones((50, 4), np.float32), 3)


def test_one_iteration_is_a_step_of_lloyd_s_algorithm_over_all_points() -> None:
    # far more points than faiss would take a centroid by itself
    rng = np.random.default_rng(6)
    points = rng.normal(size=(3000, 3)).astype(np.float32)
    before = rng.integers(0, 4, 3000).astype(np.int32)
    means = np.stack([points[before == k].mean(axis=0) for k in range(4)]).astype(float)
    for iterations in (1, 2):
        near = ((points[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
        means = np.stack([points[near == k].mean(axis=0) for k in range(4)]).astype(float)
        found = cluster(points, 4, iterations=iterations, initial_labels=before).codebook
        np.testing.assert_allclose(found.centroids + found.offset, means, atol=1e-4)


def test_the_mean_of_one_point_is_the_point_and_random_points_are_distinct() -> None:
    points = np.arange(24, dtype=np.float32).reshape(12, 2)
    labels = np.array([3] + [0] * 11, np.int32)
    means = cluster_means(points, labels, 10, seed=5)
    np.testing.assert_array_equal(means[3], points[0])
    drawn = means[[1, 2, 4, 5, 6, 7, 8, 9]]
    assert len(np.unique(drawn, axis=0)) == 8 and set(drawn[:, 0]) <= set(points[:, 0])
    np.testing.assert_array_equal(means, cluster_means(points, labels, 10, seed=5))


@pytest.mark.parametrize("kind", ["none", "standardise", "whiten", "neighbours"])
def test_a_space_without_filters_is_its_transform(kind: str) -> None:
    rng = np.random.default_rng(7)
    features = (rng.normal(size=(300, 4)) * [1, 2, 30, 4]).astype(np.float32)
    differences = features[1:] - features[:-1]
    for one, other in zip(
        pair(fit_scaled_transform(features, differences, kind)),
        pair(fit_feature_transform(features, kind, differences)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == np.float32


@pytest.mark.parametrize("size", [1e-5, 1, 1e3])
def test_scales_do_not_depend_on_how_large_features_are(size: float) -> None:
    rng = np.random.default_rng(8)
    features = (rng.normal(size=(500, 3)) * size).astype(np.float32)
    for learned, total in ((2, 1), (3, 0)):  # one filter, none
        offset, projection = pair(fit_scales(features, Sides(learned, 0.5)))
        variance = ((features - offset) @ projection).var(axis=0)
        assert variance[:learned].sum() == pytest.approx(0.25, rel=1e-3)
        assert variance[learned:].sum() == pytest.approx(total, rel=1e-3)
        assert offset.dtype == projection.dtype == np.float32


def test_results_are_small_numbers_as_promised() -> None:
    found = cluster(PAIRS.astype(np.float64), 2)
    codebook = found.codebook
    assert codebook.centroids.dtype == np.float32 and found.assignment.dtype == np.int32
    assert codebook.assign(PAIRS).dtype == np.int32
    assert codebook.transform(PAIRS.astype(np.float64)).dtype == np.float32


def test_nothing_is_said_of_samples_that_are_few(capfd: pytest.CaptureFixture[str]) -> None:
    points = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    for num_clusters in (2, 30, 40):
        cluster(points, num_clusters)
    assert capfd.readouterr() == ("", "")


def test_clustering_keeps_to_one_core_and_gives_the_others_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, seen = faiss.omp_get_max_threads(), []
    train, search = faiss.Kmeans.train, faiss.IndexFlatL2.search

    def watch_train(*args: object, **options: object) -> object:
        seen.append(faiss.omp_get_max_threads())
        return train(*args, **options)

    def watch_search(*args: object, **options: object) -> object:
        seen.append(faiss.omp_get_max_threads())
        return search(*args, **options)

    monkeypatch.setattr(faiss.Kmeans, "train", watch_train)
    monkeypatch.setattr(faiss.IndexFlatL2, "search", watch_search)
    try:
        faiss.omp_set_num_threads(2)
        cluster(PAIRS, 2).codebook.assign(PAIRS)
        assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(before)
    assert len(seen) > 2 and set(seen) == {1}
