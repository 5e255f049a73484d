"""The network's sizes, its outputs, and the convolution that finds nearest centroids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clusternet.clustering.kmeans import Codebook, cluster, fit_transform
from clusternet.network.backend import keras
from clusternet.network.sizes import LEVELS, check_shape, margin
from clusternet.network.unet import (
    build_labeller,
    build_network,
    build_predictor,
    build_sampler,
    features_tensor,
    masked_cross_entropy,
    set_codebook,
)

SMALL = dict(base_filters=2, num_features=6)


@pytest.mark.parametrize("shape", [(256, 204), (211, 227)])
def test_output_has_the_size_that_was_computed(shape: tuple[int, int]) -> None:
    network = build_network(3, 5, shape=shape, padding="valid", **SMALL)
    logits = network(np.zeros((1, *shape, 3), np.float32))
    assert logits.shape == (1, *check_shape(shape, "valid"), 5)


def averaging(network: Any) -> None:
    """Let every filter take a weighted mean: nothing dies in a ReLU, nothing grows."""
    for layer in network.layers:
        if weights := layer.get_weights():
            kernel = np.abs(weights[0])
            layer.set_weights([kernel / kernel.sum(axis=(0, 1, 2)), np.zeros_like(weights[1])])


@pytest.mark.parametrize(("padding", "side"), [("same", 32), ("valid", 204)])
def test_every_skip_carries_something_and_so_does_every_way_below(padding: str, side: int) -> None:
    network = build_network(1, 3, shape=(side, side), padding=padding, **SMALL)
    averaging(network)
    rng = np.random.default_rng(0)
    pixels, brighter = rng.random((1, side, side, 1), np.float32), np.ones((1, side, side, 1))
    whole = np.asarray(network(pixels))
    for level in range(LEVELS - 1):
        joint = network.get_layer(f"up{level}_conv1")
        kernel, bias = joint.get_weights()
        half = kernel.shape[2] // 2
        assert half == SMALL["base_filters"] * 2**level
        for away, side_left in ((slice(half), "below"), (slice(half, None), "skip")):
            part = kernel.copy()
            part[:, :, away] = 0
            joint.set_weights([part, bias])
            found = np.asarray(network(pixels))
            assert np.abs(found - whole).max() > 1e-3  # what was taken away is missing
            assert np.abs(np.asarray(network(brighter)) - found).max() > 1e-3  # the rest is there
            below = network.get_layer(f"down{level + 1}_conv1")
            weights = below.get_weights()
            below.set_weights([weights[0], weights[1] + 1])
            changed = np.abs(np.asarray(network(pixels)) - found).max() > 1e-3
            assert changed == (side_left == "below")  # no way around the joint
            below.set_weights(weights)
        joint.set_weights([kernel, bias])


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_features_and_logits_leave_in_float32(dtype: str) -> None:
    network = build_network(1, 5, shape=(32, 32), dtype=dtype, **SMALL)
    assert network.get_layer("features").output.dtype == "float32"
    assert network.get_layer("logits").output.dtype == "float32"


def test_the_paper_s_network_has_the_paper_s_width() -> None:
    network = build_network(3, 100, shape=(512, 512), padding="valid")
    widths = [network.get_layer(f"down{level}_conv2").filters for level in range(5)]
    assert widths == [64, 128, 256, 512, 1024]
    assert network.get_layer("features").output.shape[-1] == 64


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second, other = (
        build_network(3, 5, shape=(32, 32), seed=seed, **SMALL).get_weights() for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.usefixtures("eagerly")
def test_gradients_reach_the_first_layer() -> None:
    network = build_network(3, 5, shape=(32, 32), **SMALL)
    before = network.get_layer("down0_conv1").get_weights()[0]
    network.compile(keras.optimizers.Adam(1e-2), masked_cross_entropy)
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
    network.train_on_batch(pixels, rng.integers(0, 5, (2, 32, 32)))
    assert np.abs(network.get_layer("down0_conv1").get_weights()[0] - before).max() > 0


def test_cross_entropy_leaves_out_pixels_without_a_label() -> None:
    logits = np.array([[[[0.0, 2.0], [5.0, 0.0]]]], np.float32)
    labels = np.array([[[1, -1]]], np.int32)
    expected = np.log(np.exp(0) + np.exp(2)) - 2
    assert float(masked_cross_entropy(labels, logits)) == pytest.approx(expected, rel=1e-5)


def test_no_label_at_all_costs_nothing() -> None:
    logits = np.ones((1, 2, 2, 3), np.float32)
    assert float(masked_cross_entropy(np.full((1, 2, 2), -1), logits)) == 0


@pytest.mark.parametrize("transform", ["none", "whiten"])
def test_labels_in_the_graph_agree_with_faiss(transform: str) -> None:
    network = build_network(3, 9, shape=(32, 48), **SMALL)
    pixels = np.random.default_rng(0).normal(size=(2, 32, 48, 3)).astype(np.float32)
    features = np.asarray(keras.Model(network.input, features_tensor(network))(pixels))
    flat = features.reshape(-1, 6)
    codebook = cluster(flat, 9, space=fit_transform(flat, transform)).codebook
    labeller = build_labeller(network, 9)
    set_codebook(labeller, *codebook.convolution())
    labels = np.asarray(labeller(pixels))
    by_faiss = codebook.assign(features.reshape(-1, 6)).reshape(labels.shape)
    assert (labels != by_faiss).mean() < 0.002  # equally near centroids


@pytest.mark.parametrize("transform", ["none", "neighbours"])
def test_labels_are_those_of_brute_force_however_large_the_mean(transform: str) -> None:
    network = build_network(3, 9, shape=(32, 48), **SMALL)
    layer = network.get_layer("up0_conv2")
    layer.set_weights([layer.get_weights()[0], np.full(6, 1000, np.float32)])
    pixels = np.random.default_rng(0).normal(size=(1, 32, 48, 3)).astype(np.float32)
    features = np.asarray(keras.Model(network.input, features_tensor(network))(pixels))
    flat = features.reshape(-1, 6)
    assert abs(flat.mean()) > 100 * flat.std(axis=0).mean()
    codebook = cluster(flat, 9, space=fit_transform(flat, transform, flat[1:] - flat[:-1])).codebook
    points = (flat.astype(float) - codebook.offset) @ codebook.projection.astype(float)
    distances = np.linalg.norm(points[:, None] - codebook.centroids.astype(float), axis=-1)
    labeller = build_labeller(network, 9)
    set_codebook(labeller, *codebook.convolution())
    predicted = build_predictor(network, codebook, confidence=True)(pixels)
    for labels in (labeller(pixels), predicted["labels"]):
        assert (np.asarray(labels).ravel() != distances.argmin(axis=1)).mean() < 0.002
    near = np.sort(distances, axis=1)
    clear = 1 - near[:, 0] / near[:, 1]
    np.testing.assert_allclose(np.ravel(predicted["confidence"]), clear, atol=2e-2)


def test_the_sampler_fetches_the_pixels_asked_for() -> None:
    network = build_network(3, 5, shape=(32, 32), **SMALL)
    pixels = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    features = np.asarray(keras.Model(network.input, features_tensor(network))(pixels))
    positions = np.array([[0, 33, 1023], [5, 5, 64]], np.int32)
    sampled = np.asarray(build_sampler(network)([pixels, positions]))
    for place in range(2):
        np.testing.assert_allclose(
            sampled[place], features[place].reshape(-1, 6)[positions[place]], atol=1e-5
        )


def test_confidence_is_one_on_a_centroid_and_zero_between_two() -> None:
    network = build_network(3, 2, shape=(16, 16), **SMALL)
    pixels = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
    features = np.asarray(keras.Model(network.input, features_tensor(network))(pixels))
    here, there = features[0, 0, 0], features[0, 0, 1]
    identity = np.zeros(6, np.float32), np.eye(6, dtype=np.float32)
    on = Codebook(np.stack([here, there]), *identity)
    even = Codebook(np.stack([here + 0.5, here - 0.5]), *identity)
    outputs = build_predictor(network, on, confidence=True)(pixels)
    assert float(outputs["confidence"][0, 0, 0]) == pytest.approx(1, abs=2e-3)
    assert int(outputs["labels"][0, 0, 1]) == 1
    outputs = build_predictor(network, even, confidence=True)(pixels)
    assert float(outputs["confidence"][0, 0, 0]) == pytest.approx(0, abs=2e-3)


def test_a_saved_network_loads_without_custom_objects(tmp_path: Path) -> None:
    network = build_network(4, 5, shape=(256, 256), padding="valid", **SMALL)
    pixels = np.random.default_rng(0).normal(size=(1, 256, 256, 4)).astype(np.float32)
    network.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(again(pixels), network(pixels), atol=1e-6)


def test_what_lies_beyond_the_margin_reaches_no_kept_pixel() -> None:
    side = 16 * 20
    network = build_network(1, 3, shape=(side, side), **SMALL)
    for layer in network.layers:
        if weights := layer.get_weights():  # positive ones: no change hides behind a ReLU
            layer.set_weights([np.abs(weights[0]), weights[1]])
    pixels = np.ones((1, side, side, 1), np.float32)
    reach = margin("same")
    inner = np.zeros((side, side), bool)
    inner[16:-16, 16:-16] = True  # the ring outside it changes
    changed = np.where(inner[None, ..., None], pixels, np.float32(9))
    outputs = [np.asarray(network(image))[0] for image in (pixels, changed)]
    differ = np.abs(outputs[0] - outputs[1]).max(axis=2) > 1e-6
    kept = 16 + reach
    assert kept % 16 == 0 and not differ[kept:-kept, kept:-kept].any()
    assert differ[kept : 16 - kept, kept:-kept].any()  # a grain less would not do
