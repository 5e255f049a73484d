"""The network and its frozen copy keep what the method promises of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from memory_training import SETTINGS, Alternations, nearest, random_patches

from clusternet.clustering.kmeans import Codebook, cluster
from clusternet.clustering.sampling import SamplePlan, neighbours
from clusternet.errors import OutputError, RunError
from clusternet.network.backend import keras
from clusternet.network.filter_bank import num_filters
from clusternet.network.sizes import check_shape
from clusternet.patches.batches import Batch
from clusternet.training.learner import IGNORE, Alternation, _num_parts

PATCHES = random_patches(shape=(32, 48))


@pytest.fixture
def alternation(alternations: Alternations) -> Alternation:
    return alternations(3, (32, 48), SETTINGS, 2)


@pytest.fixture
def batch() -> Batch:
    """Two patches with gaps."""
    pick = np.array([3, 5])
    return Batch(pick, PATCHES.pixels[pick], PATCHES.valid[pick])


def codebook_of(alternation: Alternation, batch: Batch) -> Codebook:
    return cluster(alternation.embed(batch), SETTINGS.num_clusters, iterations=3).codebook


# --- labels


def test_labels_stay_while_the_network_trains_and_change_when_it_is_frozen_anew(
    alternation: Alternation, batch: Batch
) -> None:
    codebook, old = codebook_of(alternation, batch), alternation.embed(batch)
    for _ in range(2):  # every time, not the first time alone
        alternation.freeze(codebook)
        before = alternation.label(batch)
        by_hand = nearest(alternation.embed(batch), codebook)
        np.testing.assert_array_equal(before[batch.valid], by_hand)
        for _ in range(3):
            alternation.train(batch.pixels, before)
        assert np.abs(alternation.embed(batch) - old).max() > 0.1  # the network has moved
        np.testing.assert_array_equal(alternation.label(batch), before)
    alternation.freeze(codebook)
    assert (alternation.label(batch) != before).any()


def test_pixels_without_data_have_no_label(alternation: Alternation, batch: Batch) -> None:
    alternation.freeze(codebook_of(alternation, batch))
    labels = alternation.label(batch)
    assert labels.shape == (2, 32, 48) and labels.dtype == np.int32
    assert (labels[~batch.valid] == IGNORE).all() and (labels[batch.valid] >= 0).all()
    assert not batch.valid.all(axis=(1, 2)).any()


def test_labels_follow_the_codebook_at_hand(alternation: Alternation, batch: Batch) -> None:
    codebook = codebook_of(alternation, batch)
    alternation.freeze(codebook)
    before = alternation.label(batch)
    alternation.freeze(replace(codebook, centroids=codebook.centroids[::-1].copy()))
    turned = alternation.label(batch)
    np.testing.assert_array_equal(turned[batch.valid], 4 - before[batch.valid])


# --- training


def test_training_lowers_the_loss_of_what_is_trained_on(
    alternation: Alternation, batch: Batch
) -> None:
    alternation.freeze(codebook_of(alternation, batch))
    labels = alternation.label(batch)
    losses = [alternation.train(batch.pixels, labels) for _ in range(8)]
    assert losses[-1] < losses[0] - 0.05
    logits = np.asarray(alternation.network(batch.pixels))[batch.valid].astype(float)
    chosen = logits[np.arange(len(logits)), labels[batch.valid]]
    expected = (np.log(np.exp(logits).sum(axis=1)) - chosen).mean()
    assert alternation.train(batch.pixels, labels) == pytest.approx(expected, rel=1e-4)


def test_a_fresh_optimizer_steps_as_far_as_the_learning_rate(
    alternation: Alternation, batch: Batch
) -> None:
    alternation.freeze(codebook_of(alternation, batch))
    labels = alternation.label(batch)

    def moved() -> np.ndarray:
        before = alternation.network.get_weights()
        alternation.train(batch.pixels, labels)
        after = alternation.network.get_weights()
        return np.array([np.abs(b - a).max() for a, b in zip(before, after, strict=True)])

    first, second, third = moved(), moved(), moved()
    np.testing.assert_allclose(first, SETTINGS.learn_rate, rtol=1e-2)
    assert np.abs(second / SETTINGS.learn_rate - 1).max() > 0.2
    assert np.abs(third / SETTINGS.learn_rate - 1).max() > 0.2
    alternation.reset_optimizer()
    np.testing.assert_allclose(moved(), SETTINGS.learn_rate, rtol=0.1)


def test_labels_without_any_pixel_change_nothing(alternation: Alternation, batch: Batch) -> None:
    before = alternation.network.get_weights()
    assert alternation.train(batch.pixels, np.full((2, 32, 48), IGNORE, np.int32)) == 0
    for old, new in zip(before, alternation.network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.usefixtures("eagerly")
def test_a_batch_in_parts_trains_like_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(4, 16, 16, 3)).astype(np.float32)
    labels = rng.integers(-1, 5, (4, 16, 16)).astype(np.int32)
    labels[0, :10] = labels[3] = -1  # parts of unequal weight, one of none
    valid = labels >= 0
    results = []
    for parts, largest in ((1, 10**9), (4, 18 * 16 * 16)):
        monkeypatch.setattr("clusternet.training.learner._LARGEST_PART", largest)
        alternation = Alternation(3, (16, 16), SETTINGS, 4)
        assert alternation._num_parts == parts
        batch = Batch(np.arange(4), pixels, valid)
        alternation.freeze(codebook_of(alternation, batch))
        seen = alternation.label(batch), alternation.embed(batch)
        loss, state = alternation.train(pixels, labels), alternation.state()
        if parts > 1:
            assert alternation.train(pixels, np.full_like(labels, -1)) == 0  # by nothing
        results.append((loss, state, seen))
    (one, whole, seen), (other, parts, seen_in_parts) = results
    assert one == pytest.approx(other, rel=1e-4)
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        if value.ndim:  # the count of steps counts parts
            np.testing.assert_allclose(value, parts[name], atol=2e-4, err_msg=name)
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
    assert _num_parts(base_filters, (side, side), batch) == parts
    assert batch % parts == 0


# --- what is sampled


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("transform", ["neighbours", "none"])
def test_a_sample_holds_features_and_what_they_differ_by_from_neighbours(
    alternations: Alternations, batch: Batch, transform: str
) -> None:
    settings = replace(SETTINGS, feature_transform=transform, fixed_filters=True)
    alternation = alternations(3, (32, 48), settings, 2)
    plan = SamplePlan({3: 50, 5: 70}, (1,))
    sample = alternation.embed_sample(batch, plan)
    depth = SETTINGS.num_features + num_filters(3)
    everywhere = np.full((2, 32 * 48, depth), np.nan, np.float32)
    everywhere[batch.valid.reshape(2, -1)] = alternation.embed(batch)
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
    alternation: Alternation, batch: Batch
) -> None:
    alone = Batch(batch.indexes[:1], batch.pixels, batch.valid)
    sample = alternation.embed_sample(alone, SamplePlan({3: 50, 5: 70}, (1,)))
    both = alternation.embed_sample(batch, SamplePlan({3: 50, 5: 70}, (1,)))
    np.testing.assert_allclose(sample.features, both.features[:50], atol=1e-5)


def test_all_features_of_valid_pixels_come_in_order(alternation: Alternation, batch: Batch) -> None:
    network = alternation.network
    model = keras.Model(network.input, network.get_layer("features").output)
    expected = np.asarray(model(batch.pixels))[batch.valid]
    np.testing.assert_allclose(alternation.embed(batch), expected, atol=1e-5)


# --- settings, files


@pytest.mark.usefixtures("eagerly")
def test_the_network_is_the_one_of_the_settings() -> None:
    settings = replace(SETTINGS, seed=4, padding="valid", precision="mixed_bfloat16")
    alternation = Alternation(2, (204, 220), settings, 2)
    network = alternation.network
    assert network.input.shape == (None, None, None, 2)
    assert network.get_layer("down1_conv1").filters == 2 * 2
    assert network.get_layer("down1_conv1").compute_dtype == "bfloat16"
    assert network.get_layer("features").output.shape[-1] == 6
    assert network.get_layer("logits").filters == 5
    assert float(alternation._trainer.optimizer.learning_rate) == pytest.approx(0.01)
    logits = network(np.zeros((1, 204, 220, 2), np.float32))  # its skips are cut for this shape
    assert logits.shape == (1, *check_shape((204, 220), "valid"), 5)


@pytest.mark.usefixtures("eagerly")
def test_the_seed_of_the_settings_chooses_the_first_weights(alternations: Alternations) -> None:
    first, other = (
        alternations(3, (32, 48), replace(SETTINGS, seed=seed), 2).network.get_weights()
        for seed in (1, 2)
    )
    assert not np.array_equal(first[0], other[0])


def test_a_state_is_gone_on_from_exactly(alternation: Alternation, batch: Batch) -> None:
    alternation.freeze(codebook_of(alternation, batch))
    labels = alternation.label(batch)
    alternation.train(batch.pixels, labels)
    state = alternation.state()
    assert not any("accumul" in name for name in state)
    following = [alternation.train(batch.pixels, labels) for _ in range(2)]
    end = alternation.state()
    alternation.restore(state)
    assert [alternation.train(batch.pixels, labels) for _ in range(2)] == following
    for name, value in alternation.state().items():
        np.testing.assert_array_equal(value, end[name], err_msg=name)
    moments = [name for name in end if name.startswith("optimizer") and end[name].ndim]
    weights = [name for name in end if name.startswith("weight")]
    assert len(moments) == 2 * len(weights) == 2 * len(alternation.network.get_weights())


def test_weights_travel_in_files(alternation: Alternation, batch: Batch, tmp_path: Path) -> None:
    alternation.freeze(codebook_of(alternation, batch))
    alternation.train(batch.pixels, alternation.label(batch))
    path = tmp_path / "a.weights.h5"
    alternation.save_weights(path)
    trained = alternation.network.get_weights()
    alternation.network.set_weights([0 * value for value in trained])
    alternation.load_weights(path)
    for value, expected in zip(alternation.network.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(value, expected)
    with pytest.raises(OutputError, match=r"a\.weights\.h5"):
        alternation.save_weights(path)
    alternation.save_weights(path, overwrite=True)
    with pytest.raises(RunError, match=r"other\.weights\.h5"):
        alternation.load_weights(tmp_path / "other.weights.h5")
