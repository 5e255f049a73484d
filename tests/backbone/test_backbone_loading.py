"""Whatever a user names as a backbone is opened, or refused in one line that says what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_backbones import layers, save, transformer, two_levels

from clusternet.backbone import applications, hub
from clusternet.backbone.loading import open_backbone, open_file
from clusternet.backbone.measuring import measure
from clusternet.errors import ClusterNetError, RunError, SettingsError
from clusternet.messages import MOST
from clusternet.network.backend import keras

RGB = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)


def refusal(name: object, weights: str | None = None) -> str:
    with pytest.raises(ClusterNetError) as caught:
        open_backbone(str(name), weights)
    text = str(caught.value)
    assert len(text) <= MOST and "\n" not in text
    return text


@pytest.mark.parametrize("form", ["list", "dict", "one", "sequential"])
def test_a_file_may_give_one_map_or_several(tmp_path: Path, form: str) -> None:
    network = two_levels()
    if form == "dict":
        network = keras.Model(network.input, dict(zip("ab", network.output, strict=True)))
    if form == "one":
        network = keras.Model(network.input, network.output[0])
    if form == "sequential":
        network = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3, strides=2)])
    path = save(network, tmp_path / "net.keras")
    opened = open_backbone(str(path))
    expected = keras.tree.flatten(network(RGB))
    found = keras.tree.flatten(opened.network(RGB))
    assert opened.file == path and len(str(opened.digest)) == 64
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_files_that_are_no_backbone_are_refused(tmp_path: Path) -> None:
    rgb = keras.Input((None, None, 3))
    gray = keras.Input((None, None, 1))
    two = [keras.Input((32, 32, 3)), keras.Input((32, 32, 3))]
    head = layers.GlobalAveragePooling2D()(rgb)
    networks = {
        "head": (keras.Model(rgb, head), "expected feature maps"),
        "gray": (keras.Model(gray, layers.Conv2D(2, 3)(gray)), "expected one input"),
        "two": (keras.Model(two, layers.Add()(two)), "expected one input"),
        "code": (keras.Model(rgb, layers.Lambda(lambda x: x)(rgb)), "cannot be loaded by Keras"),
    }
    for name, (network, expected) in networks.items():
        path = save(network, tmp_path / f"{name}.keras")
        text = refusal(path)
        assert expected in text and str(path)[-12:] in text
    (tmp_path / "text.keras").write_text("no network")
    assert "save the network with" in refusal(tmp_path / "text.keras")
    (tmp_path / "old.h5").write_bytes(b"\x89HDF")
    assert "expected a .keras file" in refusal(tmp_path / "old.h5")
    assert "expected a file, found none" in refusal(tmp_path / "missing.keras")
    broken = (tmp_path / "head.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(broken[: len(broken) // 2])
    assert "expected a .keras file" in refusal(tmp_path / "cut.keras")
    with pytest.raises(RunError, match=r"^/.*expected a file, found none"):
        open_file(tmp_path / "missing.keras", RunError)


def test_names_of_nothing_are_refused(tmp_path: Path) -> None:
    assert "Did you mean ResNet50?" in refusal("resnet5")
    assert "config.json" in refusal(tmp_path)
    assert "brings its own weights" in refusal(save(two_levels(), tmp_path / "a.keras"), "imagenet")
    assert "add --backbone_weights FILE" in refusal("ResNet50")
    assert "found no such file" in refusal("ResNet50", "nowhere.h5")


def test_a_network_of_keras_gets_its_preprocessing_and_several_levels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = keras.applications.MobileNetV2(
        weights=None, alpha=0.35, include_top=False, input_shape=(None, None, 3)
    )
    monkeypatch.setattr(applications, "_create", lambda name, weights: network)
    opened = open_backbone("mobilenetv2", "some.h5")
    assert opened.file is None
    strides = [level.stride for level in measure(opened.network, "x").levels]
    assert strides == [2, 4, 8, 16]
    inner = network.get_layer("block_13_expand_relu").output  # the last one before 32 pixels
    expected = keras.Model(network.input, inner)(RGB / 127.5 - 1)
    np.testing.assert_allclose(opened.network(RGB)[-1], expected, atol=1e-4)
    # saved as a file of its own it is the same network
    again = open_backbone(str(save(opened.network, tmp_path / "mobile.keras")))
    np.testing.assert_allclose(again.network(RGB)[-1], expected, atol=1e-4)


def test_all_networks_of_keras_are_known_with_their_preprocessing() -> None:
    names = applications.names()
    assert {"resnet50", "convnexttiny", "efficientnetv2b0", "vgg16"} <= set(names)
    rgb = keras.Input((None, None, 3))
    colour = np.array([[[[10.0, 100.0, 200.0]]]], np.float32)
    for name, function in names.items():
        module = sys.modules[getattr(keras.applications, function).__module__]
        prepared = keras.Model(rgb, applications._prepared(rgb, function))(colour)
        expected = module.preprocess_input(colour.copy())
        np.testing.assert_allclose(prepared, expected, atol=1e-3, err_msg=name)


def test_weights_that_do_not_fit_or_cannot_be_fetched_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "https://storage.example.com/mobile_notop.h5"

    def create(weights: str | None, **options: Any) -> Any:
        if weights == "imagenet":
            raise Exception(f"URL fetch failure on {address}: None -- no route")
        return two_levels()

    monkeypatch.setattr(keras.applications, "VGG16", create)
    text = refusal("VGG16", "imagenet")
    assert address in text and "--backbone_weights FILE" in text
    other = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    monkeypatch.chdir(tmp_path)  # a short name for a message of limited length
    other.save_weights("other.weights.h5")
    assert "not the weights of VGG16" in refusal("VGG16", "other.weights.h5")


class FakeHub:
    """Stands for the package keras_hub, which need not be installed."""

    def __init__(self, network: Any) -> None:
        converter = SimpleNamespace(scale=[1 / 50, 1 / 60, 1 / 70], offset=-1.0)
        self.layers = SimpleNamespace(
            ImageConverter=SimpleNamespace(from_preset=lambda preset: converter)
        )
        self.models = SimpleNamespace(
            Backbone=SimpleNamespace(presets={"tiny_vit": 1}, from_preset=lambda preset: network)
        )


def tokens(side: int | None, others: int) -> Any:
    """A transformer of patches of 8 pixels that gives a class token or more before the patches."""
    rgb = keras.Input((side, side, 3), name="pixel_values")
    maps = layers.Conv2D(6, 8, strides=8)(rgb)
    flat = layers.Reshape((-1, 6))(maps)
    more = layers.ZeroPadding1D((others, 0))(flat)
    network = keras.Model({"pixel_values": rgb}, more)
    network.patch_size = 8
    return network


@pytest.mark.parametrize("side", [64, None])
def test_tokens_of_keras_hub_are_arranged_as_a_map(
    monkeypatch: pytest.MonkeyPatch, side: int | None
) -> None:
    network = tokens(side, 5)
    fake = FakeHub(network)
    monkeypatch.setattr(hub, "_keras_hub", lambda start, kind: fake)
    monkeypatch.setattr(hub, "SIDES", (64,))
    monkeypatch.setitem(sys.modules, "keras_hub", fake)
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: fake)
    opened = open_backbone("tiny_vit")
    found = np.asarray(keras.tree.flatten(opened.network(RGB))[0])[0]
    scaled = RGB * np.array([1 / 50, 1 / 60, 1 / 70], np.float32) - 1
    expected = network.get_layer(index=1)(scaled)[0]
    assert found.shape == (8, 8, 6)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_networks_of_keras_hub_without_the_package_or_network_access(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "keras_hub", None)  # as if it were not installed
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: None)
    for name in ("dinov2_small", "hf://keras/dinov3_vit_small", "kaggle://keras/resnet"):
        assert "pip install 'clusternet[backbones]'" in refusal(name)
    (tmp_path / "config.json").write_text("{}")
    assert "pip install 'clusternet[backbones]'" in refusal(tmp_path)
    fake = FakeHub(None)
    fake.models.Backbone.from_preset = lambda preset: 1 / 0
    monkeypatch.setattr(hub, "_keras_hub", lambda start, kind: fake)
    assert "fetch the preset elsewhere and give its folder" in refusal("hf://keras/some")
    assert "check its files" in refusal(tmp_path)
    fake.models.Backbone.from_preset = lambda preset: keras.Model(*[keras.Input((7,))] * 2)
    assert "is no network that maps images to features" in refusal("hf://keras/some")
    with pytest.raises(SettingsError, match="cannot be loaded by KerasHub"):
        fake.models.Backbone.from_preset = transformer  # takes no preset of this kind
        fake.layers.ImageConverter.from_preset = lambda preset: 1 / 0
        open_backbone("hf://keras/some")
