"""The network and its frozen copy keep what the method promises of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from memory_training import SETTINGS, Learners, nearest, random_patches

from clusternet.clustering.kmeans import Codebook, cluster
from clusternet.clustering.sampling import SamplePlan, neighbours
from clusternet.errors import OutputError, RunError
from clusternet.network.backend import keras
from clusternet.network.filter_sizes import num_filters
from clusternet.network.sizes import check_shape
from clusternet.patches.batches import Batch
from clusternet.training.learner import IGNORE, Learner, num_parts

PATCHES = random_patches(shape=(32, 48))


@pytest.fixture
def learner(learners: Learners) -> Learner:
    return learners(3, (32, 48), SETTINGS, 2)


@pytest.fixture
def batch() -> Batch:
    """Two patches with gaps."""
    pick = np.array([3, 5])
    return Batch(pick, PATCHES.pixels[pick], PATCHES.valid[pick])


def codebook_of(learner: Learner, batch: Batch) -> Codebook:
    return cluster(learner.embed(batch), SETTINGS.num_clusters, iterations=3).codebook


# --- labels


def test_labels_stay_while_the_network_trains_and_change_when_it_is_frozen_anew(
    learner: Learner, batch: Batch
) -> None:
    codebook, old = codebook_of(learner, batch), learner.embed(batch)
    for _ in range(2):  # every time, not the first time alone
        learner.freeze(codebook)
        before = learner.label(batch)
        by_hand = nearest(learner.embed(batch), codebook)
        np.testing.assert_array_equal(before[batch.valid], by_hand)
        for _ in range(3):
            learner.fit(batch.pixels, before)
        assert np.abs(learner.embed(batch) - old).max() > 0.1  # the network has moved
        np.testing.assert_array_equal(learner.label(batch), before)
    learner.freeze(codebook)
    assert (learner.label(batch) != before).any()


def test_pixels_without_data_have_no_label(learner: Learner, batch: Batch) -> None:
    learner.freeze(codebook_of(learner, batch))
    labels = learner.label(batch)
    assert labels.shape == (2, 32, 48) and labels.dtype == np.int32
    assert (labels[~batch.valid] == IGNORE).all() and (labels[batch.valid] >= 0).all()
    assert not batch.valid.all(axis=(1, 2)).any()


def test_labels_follow_the_codebook_at_hand(learner: Learner, batch: Batch) -> None:
    codebook = codebook_of(learner, batch)
    learner.freeze(codebook)
    before = learner.label(batch)
    learner.freeze(replace(codebook, centroids=codebook.centroids[::-1].copy()))
    turned = learner.label(batch)
    np.testing.assert_array_equal(turned[batch.valid], 4 - before[batch.valid])


@pytest.mark.usefixtures("eagerly")
def test_the_nearest_centroid_is_nearest_by_learned_features_and_filters(
    learners: Learners, batch: Batch
) -> None:
    learner = learners(3, (32, 48), replace(SETTINGS, fixed_filters=True), 2)
    codebook = codebook_of(learner, batch)
    assert codebook.centroids.shape[1] == SETTINGS.num_features + num_filters(3)
    learner.freeze(codebook)
    found, expected = learner.label(batch)[batch.valid], nearest(learner.embed(batch), codebook)
    assert (found != expected).mean() < 0.002  # equally near


# --- training


def test_training_lowers_the_loss_of_what_is_trained_on(learner: Learner, batch: Batch) -> None:
    learner.freeze(codebook_of(learner, batch))
    labels = learner.label(batch)
    losses = [learner.fit(batch.pixels, labels) for _ in range(8)]
    assert losses[-1] < losses[0] - 0.05
    logits = np.asarray(learner.network(batch.pixels))[batch.valid].astype(float)
    chosen = logits[np.arange(len(logits)), labels[batch.valid]]
    expected = (np.log(np.exp(logits).sum(axis=1)) - chosen).mean()
    assert learner.fit(batch.pixels, labels) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_step_labels_and_trains_on_every_second_row_and_column(
    learners: Learners, padding: str
) -> None:
    settings = replace(SETTINGS, padding=padding, pixel_step=2, fixed_filters=True)
    shape = (32, 48) if padding == "same" else (204, 221)
    learner = learners(3, shape, settings, 2)
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(2, *shape, 3)).astype(np.float32)
    labelled = check_shape(shape, padding)
    batch = Batch(np.arange(2), pixels, rng.random((2, *labelled)) < 0.9)
    learner.freeze(codebook_of(learner, batch))
    everywhere = learner.label(batch)
    starts = rng.integers(2, size=(2, 4, 2)).astype(np.int32)
    labels = learner.label(batch, starts)
    on = grid_mask(starts, labelled)
    assert labels.shape == everywhere.shape and labels.dtype == np.int32
    np.testing.assert_array_equal(labels, np.where(on, everywhere, IGNORE))

    logits = np.asarray(learner.network(pixels)).astype(float)
    chosen = np.take_along_axis(logits, np.maximum(labels, 0)[..., None], axis=-1)[..., 0]
    scores = np.log(np.exp(logits).sum(axis=-1)) - chosen
    first = learner.state()
    turns = [(pixels, labels, scores)]
    if padding == "same":  # labels turn with the pixels
        turns.append((pixels[:, ::-1].copy(), labels[:, ::-1], None))
    for some_pixels, some_labels, some_scores in turns:
        learner.restore(first)
        loss = learner.fit(some_pixels, some_labels)
        if some_scores is None:
            turned = np.asarray(learners(3, shape, settings, 2).network(some_pixels))
            chosen = np.take_along_axis(turned, np.maximum(some_labels, 0)[..., None], axis=-1)
            some_scores = np.log(np.exp(turned).sum(axis=-1)) - chosen[..., 0]
        assert loss == pytest.approx(some_scores[some_labels >= 0].mean(), rel=1e-3)
        learner.restore(first)
        learner.fit(some_pixels, some_labels)
        moved = [name for name, value in learner.state().items() if (value != first[name]).any()]
        assert sum("weight" in name for name in moved) == len(learner.network.weights)


def grid_mask(starts: np.ndarray, labelled: tuple[int, int]) -> np.ndarray:
    """Return where the grids of patches lie, counted pixel by pixel; (patches, rows, cols)."""
    mask = np.zeros((len(starts), *labelled), bool)
    rows, cols = (size // 4 * 2 for size in labelled)  # of a quarter
    for patch, quarters in enumerate(starts):
        for number, (row, col) in enumerate(quarters):
            down, across = number // 2 * rows, number % 2 * cols
            for y in range(0, rows, 2):
                for x in range(0, cols, 2):
                    mask[patch, down + row + y, across + col + x] = True
    return mask


def test_weights_have_one_order_however_many_pixels_are_trained_on(learners: Learners) -> None:
    for step in (1, 2):  # checkpoints hold the moments of the weights in this order
        learner = learners(3, (32, 48), replace(SETTINGS, pixel_step=step), 2)
        order = [weight.path for weight in learner._trainer.trainable_variables]
        assert order == [weight.path for weight in learner.network.trainable_variables]


def test_a_fresh_optimizer_steps_as_far_as_the_learning_rate(
    learner: Learner, batch: Batch
) -> None:
    learner.freeze(codebook_of(learner, batch))
    labels = learner.label(batch)

    def moved() -> np.ndarray:
        before = learner.network.get_weights()
        learner.fit(batch.pixels, labels)
        after = learner.network.get_weights()
        return np.array([np.abs(b - a).max() for a, b in zip(before, after, strict=True)])

    first, second, third = moved(), moved(), moved()
    np.testing.assert_allclose(first, SETTINGS.learn_rate, rtol=1e-2)
    assert np.abs(second / SETTINGS.learn_rate - 1).max() > 0.2
    assert np.abs(third / SETTINGS.learn_rate - 1).max() > 0.2
    learner.reset_optimizer()
    np.testing.assert_allclose(moved(), SETTINGS.learn_rate, rtol=0.1)


def test_labels_without_any_pixel_change_nothing(learner: Learner, batch: Batch) -> None:
    before = learner.network.get_weights()
    assert learner.fit(batch.pixels, np.full((2, 32, 48), IGNORE, np.int32)) == 0
    for old, new in zip(before, learner.network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.usefixtures("eagerly")
def test_a_batch_in_parts_trains_like_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(4, 16, 16, 3)).astype(np.float32)
    labels = rng.integers(-1, 5, (4, 16, 16)).astype(np.int32)
    labels[0, :10] = labels[3] = -1  # parts of unequal weight, one of none
    valid = labels >= 0
    results = []
    for parts, largest in ((1, 10**9), (2, 2 * 18 * 16 * 16), (4, 18 * 16 * 16)):
        monkeypatch.setattr("clusternet.training.learner._LARGEST_PART", largest)
        learner = Learner(3, (16, 16), SETTINGS, 4)
        assert learner._num_parts == parts
        batch = Batch(np.arange(4), pixels, valid)
        learner.freeze(codebook_of(learner, batch))
        seen = learner.label(batch), learner.embed(batch)
        loss, state = learner.fit(pixels, labels), learner.state()
        if parts > 1:
            assert learner.fit(pixels, np.full_like(labels, -1)) == 0  # by nothing
        results.append((loss, state, seen))
    one, whole, seen = results[0]
    for other, in_parts, seen_in_parts in results[1:]:
        assert one == pytest.approx(other, rel=1e-4)
        assert whole.keys() == in_parts.keys()
        for name, value in whole.items():
            if value.ndim:  # the count of steps counts parts
                np.testing.assert_allclose(value, in_parts[name], atol=2e-4, err_msg=name)
        assert (seen[0] != seen_in_parts[0]).mean() < 1e-3
        np.testing.assert_allclose(seen[1], seen_in_parts[1], atol=1e-5)


@pytest.mark.parametrize(
    ("base_filters", "side", "batch", "parts"),
    [
        (64, 256, 4, 1), (64, 256, 5, 5), (64, 256, 8, 2), (64, 512, 1, 1), (64, 512, 4, 4),
        (16, 256, 10, 1), (16, 256, 11, 11), (64, 1024, 2, 2), (1, 16, 64, 1), (64, 256, 6, 2),
    ],
)  # fmt: skip
def test_a_batch_is_cut_into_equal_parts_that_memory_is_enough_for(
    base_filters: int, side: int, batch: int, parts: int
) -> None:
    assert num_parts(base_filters, (side, side), batch) == parts
    assert batch % parts == 0


# --- what is sampled


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("transform", ["neighbours", "none"])
def test_a_sample_holds_features_and_what_they_differ_by_from_neighbours(
    learners: Learners, batch: Batch, transform: str
) -> None:
    settings = replace(SETTINGS, feature_transform=transform, fixed_filters=True)
    learner = learners(3, (32, 48), settings, 2)
    plan = SamplePlan({3: 50, 5: 70}, (1,))
    sample = learner.embed_sample(batch, plan)
    depth = SETTINGS.num_features + num_filters(3)
    everywhere = np.full((2, 32 * 48, depth), np.nan, np.float32)
    everywhere[batch.valid.reshape(2, -1)] = learner.embed(batch)
    features, differences = [], []
    for place, patch in enumerate((3, 5)):
        chosen = plan.positions(patch, batch.valid[place])
        here, there = neighbours(chosen, batch.valid[place])
        features.append(everywhere[place, chosen])
        differences.append(everywhere[place, here] - everywhere[place, there])
    np.testing.assert_allclose(sample.features, np.concatenate(features), atol=1e-4)
    if transform == "none":
        assert sample.differences.shape == (0, depth)
    else:
        np.testing.assert_allclose(sample.differences, np.concatenate(differences), atol=1e-4)
        assert len(sample.differences) > 50


def test_a_batch_that_is_filled_up_is_sampled_where_it_holds_patches(
    learner: Learner, batch: Batch
) -> None:
    alone = Batch(batch.indexes[:1], batch.pixels, batch.valid)
    sample = learner.embed_sample(alone, SamplePlan({3: 50, 5: 70}, (1,)))
    both = learner.embed_sample(batch, SamplePlan({3: 50, 5: 70}, (1,)))
    np.testing.assert_allclose(sample.features, both.features[:50], atol=1e-5)


def test_all_features_of_valid_pixels_come_in_order(learner: Learner, batch: Batch) -> None:
    network = learner.network
    model = keras.Model(network.input, network.get_layer("features").output)
    expected = np.asarray(model(batch.pixels))[batch.valid]
    np.testing.assert_allclose(learner.embed(batch), expected, atol=1e-5)


# --- settings, files


@pytest.mark.usefixtures("eagerly")
def test_the_network_is_the_one_of_the_settings() -> None:
    settings = replace(SETTINGS, seed=4, padding="valid", precision="mixed_bfloat16")
    learner = Learner(2, (204, 220), settings, 2)
    network = learner.network
    assert network.input.shape == (None, None, None, 2)
    assert network.get_layer("down1_conv1").filters == 2 * 2
    assert network.get_layer("down1_conv1").compute_dtype == "bfloat16"
    assert network.get_layer("features").output.shape[-1] == 6
    assert network.get_layer("logits").filters == 5
    assert float(learner._trainer.optimizer.learning_rate) == pytest.approx(0.01)
    logits = network(np.zeros((1, 204, 220, 2), np.float32))  # its skips are cut for this shape
    assert logits.shape == (1, *check_shape((204, 220), "valid"), 5)


@pytest.mark.usefixtures("eagerly")
def test_the_seed_of_the_settings_chooses_the_first_weights(learners: Learners) -> None:
    first, other = (
        learners(3, (32, 48), replace(SETTINGS, seed=seed), 2).network.get_weights()
        for seed in (1, 2)
    )
    assert not np.array_equal(first[0], other[0])


def test_training_continues_exactly_from_a_saved_state(learner: Learner, batch: Batch) -> None:
    learner.freeze(codebook_of(learner, batch))
    labels = learner.label(batch)
    learner.fit(batch.pixels, labels)
    state = learner.state()
    assert not any("accumul" in name for name in state)
    following = [learner.fit(batch.pixels, labels) for _ in range(2)]
    end = learner.state()
    learner.restore(state)
    assert [learner.fit(batch.pixels, labels) for _ in range(2)] == following
    for name, value in learner.state().items():
        np.testing.assert_array_equal(value, end[name], err_msg=name)
    moments = [name for name in end if name.startswith("optimizer") and end[name].ndim]
    weights = [name for name in end if name.startswith("weight")]
    assert len(moments) == 2 * len(weights) == 2 * len(learner.network.get_weights())


def test_weights_travel_in_files(learner: Learner, batch: Batch, tmp_path: Path) -> None:
    learner.freeze(codebook_of(learner, batch))
    learner.fit(batch.pixels, learner.label(batch))
    path = tmp_path / "a.weights.h5"
    learner.save_weights(path)
    trained = learner.network.get_weights()
    learner.network.set_weights([0 * value for value in trained])
    learner.load_weights(path)
    for value, expected in zip(learner.network.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(value, expected)
    with pytest.raises(OutputError, match=r"a\.weights\.h5"):
        learner.save_weights(path)
    learner.save_weights(path, overwrite=True)
    with pytest.raises(RunError, match=r"other\.weights\.h5"):
        learner.load_weights(tmp_path / "other.weights.h5")
