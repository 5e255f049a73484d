"""The network's sizes, its outputs, and the convolution that finds nearest centroids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clusternet.clustering.feature_transform import fit_feature_transform
from clusternet.clustering.kmeans import Codebook, cluster
from clusternet.network.backend import keras
from clusternet.network.filter_bank import BORDER, FilterBank, num_filters
from clusternet.network.sizes import LEVELS, check_shape, margin, uncovered
from clusternet.network.unet import (
    build_labeller,
    build_network,
    build_predictor,
    build_sampler,
    features_tensor,
    masked_cross_entropy,
    reset_optimizer,
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
@pytest.mark.parametrize(("padding", "side"), [("same", 256), ("valid", 204)])
def test_features_and_logits_alone_are_in_float32_whatever_the_rest(
    dtype: str, padding: str, side: int
) -> None:
    network = build_network(
        1, 5, shape=(side, side), dtype=dtype, padding=padding, centre_only=True, **SMALL
    )
    assert network.get_layer("features").output.dtype == "float32"
    assert network.get_layer("logits").output.dtype == "float32"
    inner = {layer.compute_dtype for layer in network.layers[1:-2]}
    assert inner == {dtype.removeprefix("mixed_")}
    assert {layer.compute_dtype for layer in network.layers[-2:]} == {"float32"}


@pytest.mark.parametrize(("padding", "side"), [("same", 32), ("valid", 204)])
def test_layers_are_those_of_the_paper_in_the_order_of_the_tensors(padding: str, side: int) -> None:
    found = []
    for layer in build_network(3, 5, shape=(side, side), padding=padding, **SMALL).layers:
        if isinstance(layer, keras.layers.Conv2D):
            (size, _), activation = layer.kernel_size, layer.activation.__name__
            found.append((layer.name, layer.filters, size, activation, layer.padding))
    widths, expected = [2, 4, 8, 16, 32], []
    for level in range(5):
        for step in (1, 2):
            expected.append((f"down{level}_conv{step}", widths[level], 3, "relu", padding))
    for level in (3, 2, 1, 0):
        width = widths[level]
        expected.append((f"up{level}_upconv", width, 2, "relu", padding))
        expected.append((f"up{level}_conv1", width, 3, "relu", padding))
        expected.append((f"up{level}_conv2", width, 3, "relu", padding))
    expected[-1] = ("up0_conv2", 6, 3, "linear", padding)  # its ReLU is the layer of features
    assert found == [*expected, ("logits", 5, 1, "linear", "valid")]


def test_every_layer_has_a_name_that_says_where_it_is(described: dict[str, Any]) -> None:
    ways = {
        ("same", False): "upsample upconv concat conv1 conv2",
        ("valid", False): "crop upsample upconv concat conv1 conv2",
        ("same", True): "centre crop upsample upconv concat conv1 conv2",
    }
    for (padding, only), up in ways.items():
        network = build_network(1, 3, shape=(256, 256), padding=padding, centre_only=only, **SMALL)
        down = [f"down{level}_{name}" for level in range(4) for name in ("conv1", "conv2", "pool")]
        down += ["down4_conv1", "down4_conv2"]
        names = [f"up{level}_{name}" for level in range(4) for name in up.split()]
        expected = {"bands", *down, *names, "features", "logits"}
        assert {layer.name for layer in network.layers} == expected
        assert network.name == "clusternet"
    network, codebook, shape = described["network"], described["codebook"], (32, 48)
    description = {"within_reach", "filters", "description"}
    for model, name, own in (
        (build_labeller(network, 5, shape), "labeller", {"offset", "codebook"}),
        (build_sampler(network, shape), "sampler", {"positions", "pixels"}),
        (build_predictor(network, codebook, confidence=True, filters_from=shape), "predictor",
         {"offset", "codebook", "transform"}),
    ):  # fmt: skip
        assert model.name == name
        assert description | own <= {layer.name for layer in model.layers}


def test_features_are_not_negative_and_logits_are_of_them_alone() -> None:
    network = build_network(2, 5, shape=(32, 32), **SMALL)
    pixels = np.random.default_rng(0).normal(size=(1, 32, 32, 2)).astype(np.float32)
    both = keras.Model(network.input, [network.get_layer("features").output, network.output])
    features, logits = (np.asarray(values) for values in both(pixels))
    assert features.min() == 0 and (features > 0).mean() > 0.2
    kernel, bias = network.get_layer("logits").get_weights()
    np.testing.assert_allclose(logits, features @ kernel[0, 0] + bias, atol=1e-5)


def test_first_weights_are_he_normal_and_each_layer_s_own() -> None:
    network = build_network(16, 200, shape=(32, 32), base_filters=16, num_features=64)
    firsts = []
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, bias = layer.get_weights()
            assert not bias.any()
            ins, outs = kernel.shape[2:]
            fan_in = kernel[..., 0].size
            variance = 2 / fan_in if layer.name != "logits" else 2 / (ins + outs)  # Glorot
            assert kernel.var() == pytest.approx(variance, rel=0.15), layer.name
            firsts.append(float((kernel / kernel.std()).flat[0]))
    assert len(firsts) == 23
    assert len(np.unique(np.round(firsts, 4))) == 23  # none repeats the numbers of another
    logits = network.get_layer("logits").get_weights()[0]
    assert np.abs(logits).max() <= (6 / (64 + 200)) ** 0.5  # uniform


def test_the_centre_alone_is_the_same_as_in_the_whole() -> None:
    side, border, cut = 256, margin("same"), uncovered("same")
    whole = build_network(2, 3, shape=(side, side), **SMALL)
    centre = build_network(2, 3, shape=(side, side), centre_only=True, **SMALL)
    for layer in whole.layers:
        if weights := layer.get_weights():  # nothing hides behind a ReLU
            layer.set_weights([np.abs(weights[0]), weights[1]])
    centre.set_weights(whole.get_weights())
    pixels = np.random.default_rng(0).random((1, side, side, 2), np.float32)
    expected, found = np.asarray(whole(pixels))[0], np.asarray(centre(pixels))[0]
    assert found.shape == (side - 2 * cut, side - 2 * cut, 3)
    kept = slice(border, side - border)
    inner = slice(border - cut, side - border - cut)
    np.testing.assert_allclose(found[inner, inner], expected[kept, kept], rtol=1e-4)


def test_the_valid_network_gives_its_centre_anyway() -> None:
    whole, centre = (
        build_network(1, 3, shape=(204, 204), padding="valid", centre_only=only, **SMALL)
        for only in (False, True)
    )
    assert [layer.name for layer in whole.layers] == [layer.name for layer in centre.layers]


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


def test_cross_entropy_is_a_mean_over_all_pixels_with_a_label() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    labels = rng.integers(-1, 5, (2, 3, 4))
    valid = labels >= 0
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = -np.log(shares[valid, labels[valid]]).mean()
    for numbers in (labels, labels.astype(np.float32)):  # as Keras may hand them on
        assert float(masked_cross_entropy(numbers, logits)) == pytest.approx(expected, rel=1e-5)
    one = np.full_like(labels, -1)
    one[1, 2, 3] = 4
    expected = -np.log(shares[1, 2, 3, 4])
    assert float(masked_cross_entropy(one, logits)) == pytest.approx(expected, rel=1e-5)


def test_no_label_at_all_costs_nothing() -> None:
    logits = np.ones((1, 2, 2, 3), np.float32)
    assert float(masked_cross_entropy(np.full((1, 2, 2), -1), logits)) == 0


@pytest.mark.parametrize("transform", ["none", "whiten"])
def test_labels_in_the_graph_agree_with_faiss(transform: str) -> None:
    network = build_network(3, 9, shape=(32, 48), **SMALL)
    pixels = np.random.default_rng(0).normal(size=(2, 32, 48, 3)).astype(np.float32)
    features = np.asarray(keras.Model(network.input, features_tensor(network))(pixels))
    flat = features.reshape(-1, 6)
    codebook = cluster(flat, 9, transform=fit_feature_transform(flat, transform)).codebook
    labeller = build_labeller(network, 9)
    set_codebook(labeller, *codebook.convolution())
    labels = np.asarray(labeller([pixels]))
    by_faiss = codebook.assign(features.reshape(-1, 6)).reshape(labels.shape)
    assert (labels != by_faiss).mean() < 0.002  # equally near centroids


@pytest.mark.parametrize("left_out", [0, BORDER + 5])
def test_filters_stand_beside_the_features_that_are_there(left_out: int) -> None:
    # a network whose features leave out an uneven border, as with valid padding
    inputs = keras.Input((None, None, 2))
    side, before = 96, left_out + (left_out > 0)
    learned = keras.layers.Cropping2D(((before, left_out), (before, left_out)), name="features")
    network = keras.Model(inputs, learned(inputs))
    pixels = np.random.default_rng(0).normal(size=(1, side, side, 2)).astype(np.float32)
    smallest = (side, side)
    found = np.asarray(keras.Model(inputs, features_tensor(network, smallest, left_out))(pixels))
    everywhere = np.asarray(FilterBank(smallest)(pixels))
    there = slice(before, side - left_out)
    assert found.shape[-1] == 2 + num_filters(2) and found.dtype == np.float32
    np.testing.assert_array_equal(found[..., :2], pixels[:, there, there])
    np.testing.assert_allclose(found[..., 2:], everywhere[:, there, there], atol=1e-5)
    alone = keras.Model(inputs, features_tensor(network))(pixels)
    np.testing.assert_array_equal(alone, found[..., :2])


def test_filters_leave_out_what_only_uncovered_pixels_need() -> None:
    network = build_network(1, 3, shape=(32, 32), **SMALL)
    for left_out, read in ((BORDER - 1, 0), (BORDER, 0), (BORDER + 5, 5)):
        model = keras.Model(network.input, features_tensor(network, (99, 99), left_out))
        assert model.get_layer("within_reach").cropping == ((read, read), (read, read))


def test_a_labeller_starts_with_an_offset_of_zero() -> None:
    labeller = build_labeller(build_network(1, 3, shape=(32, 32), **SMALL), 3)
    (offset,) = labeller.get_layer("offset").weights
    assert offset.name == "offset" and offset.shape == (6,)
    assert not keras.ops.convert_to_numpy(offset).any()


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("num_clusters", [2, 5])
def test_the_head_takes_the_largest_probability_and_its_lead(
    monkeypatch: pytest.MonkeyPatch, backend: str, num_clusters: int
) -> None:
    network = build_network(2, num_clusters, shape=(16, 32), **SMALL)
    pixels = np.random.default_rng(0).normal(size=(2, 16, 32, 2)).astype(np.float32)
    logits = np.asarray(network(pixels)).astype(float)
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)  # each has a quick way
    found = build_predictor(network, None, confidence=True)([pixels])
    assert set(found) == {"labels", "confidence"}
    labels = np.asarray(found["labels"])
    np.testing.assert_array_equal(labels, logits.argmax(axis=-1))
    assert labels.dtype == np.int32
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    best = np.sort(shares, axis=-1)
    np.testing.assert_allclose(found["confidence"], best[..., -1] - best[..., -2], atol=1e-5)
    assert set(build_predictor(network, None)([pixels])) == {"labels"}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """A network, pixels, what filters and network say of them, and a codebook of that."""
    network = build_network(2, 5, shape=(32, 48), **SMALL)
    pixels = np.random.default_rng(0).normal(size=(2, 32, 48, 2)).astype(np.float32)
    model = keras.Model(network.input, features_tensor(network, (32, 48)))
    features = np.asarray(model(pixels))
    flat = features.reshape(-1, features.shape[-1])
    codebook = cluster(
        flat, 5, transform=fit_feature_transform(flat, "whiten"), iterations=3
    ).codebook
    return dict(network=network, pixels=pixels, features=features, codebook=codebook)


def test_all_models_describe_pixels_alike(described: dict[str, Any]) -> None:
    network, pixels, codebook = (described[name] for name in ("network", "pixels", "codebook"))
    features, shape = described["features"], (32, 48)
    expected = codebook.assign(features.reshape(-1, features.shape[-1])).reshape(2, 32, 48)
    labeller = build_labeller(network, 5, shape)
    set_codebook(labeller, *codebook.convolution())
    assert not labeller.get_layer("codebook").trainable
    assert not labeller.get_layer("offset").trainable
    predictor = build_predictor(network, codebook, features=True, filters_from=shape)
    found = predictor([pixels])
    assert set(found) == {"labels", "features"}
    np.testing.assert_allclose(found["features"], features, atol=1e-5)
    for labels in (np.asarray(labeller([pixels])), np.asarray(found["labels"])):
        assert labels.dtype == np.int32 and labels.shape == (2, 32, 48)
        assert (labels != expected).mean() < 0.005  # equally near
    positions = np.array([[7, 0, 1535], [3, 3, 48]], np.int32)
    sampled = np.asarray(build_sampler(network, shape)([pixels, positions]))
    for place in range(2):
        flat = features[place].reshape(-1, features.shape[-1])
        np.testing.assert_allclose(sampled[place], flat[positions[place]], atol=1e-5)


def test_confidence_is_one_minus_the_ratio_of_distances(described: dict[str, Any]) -> None:
    codebook, features = described["codebook"], described["features"].astype(float)
    points = (features - codebook.offset) @ codebook.projection.astype(float)
    distances = np.linalg.norm(points[..., None, :] - codebook.centroids.astype(float), axis=-1)
    near = np.sort(distances, axis=-1)
    model = build_predictor(described["network"], codebook, confidence=True, filters_from=(32, 48))
    found = model([described["pixels"]])
    assert set(found) == {"labels", "confidence"}
    np.testing.assert_allclose(found["confidence"], 1 - near[..., 0] / near[..., 1], atol=1e-2)


@pytest.mark.parametrize("transform", ["none", "neighbours"])
def test_labels_are_those_of_brute_force_however_large_the_mean(transform: str) -> None:
    network = build_network(3, 9, shape=(32, 48), **SMALL)
    layer = network.get_layer("up0_conv2")
    layer.set_weights([layer.get_weights()[0], np.full(6, 1000, np.float32)])
    pixels = np.random.default_rng(0).normal(size=(1, 32, 48, 3)).astype(np.float32)
    features = np.asarray(keras.Model(network.input, features_tensor(network))(pixels))
    flat = features.reshape(-1, 6)
    assert abs(flat.mean()) > 100 * flat.std(axis=0).mean()
    codebook = cluster(
        flat, 9, transform=fit_feature_transform(flat, transform, flat[1:] - flat[:-1])
    ).codebook
    points = (flat.astype(float) - codebook.offset) @ codebook.projection.astype(float)
    distances = np.linalg.norm(points[:, None] - codebook.centroids.astype(float), axis=-1)
    labeller = build_labeller(network, 9)
    set_codebook(labeller, *codebook.convolution())
    predicted = build_predictor(network, codebook, confidence=True)([pixels])
    for labels in (labeller([pixels]), predicted["labels"]):
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
    outputs = build_predictor(network, on, confidence=True)([pixels])
    assert float(outputs["confidence"][0, 0, 0]) == pytest.approx(1, abs=2e-3)
    assert int(outputs["labels"][0, 0, 1]) == 1
    outputs = build_predictor(network, even, confidence=True)([pixels])
    assert float(outputs["confidence"][0, 0, 0]) == pytest.approx(0, abs=2e-3)


def test_a_fresh_optimizer_remembers_nothing_but_its_learning_rate() -> None:
    weight = keras.Variable(np.ones(3, np.float32))
    adam = keras.optimizers.Adam(0.25)
    adam.build([weight])
    new = [keras.ops.convert_to_numpy(variable).copy() for variable in adam.variables]
    adam.apply([np.ones(3, np.float32)], [weight])
    used = [keras.ops.convert_to_numpy(variable).copy() for variable in adam.variables]
    assert sum(not np.array_equal(a, b) for a, b in zip(new, used, strict=True)) >= 3
    reset_optimizer(adam)
    for before, after in zip(new, adam.variables, strict=True):
        now = keras.ops.convert_to_numpy(after)
        np.testing.assert_array_equal(now, before)
        assert now.dtype == before.dtype


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
    assert differ[kept : 16 - kept, kept:-kept].any()  # 16 pixels less would not do
