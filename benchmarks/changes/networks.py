"""Changes of the features and of the network."""

from __future__ import annotations

from typing import Any

from clusternet.network.backend import keras
from clusternet.network.unet import build_network, features_tensor
from clusternet.windows import Shape

layers = keras.layers
_GROUPS = 8
_SQUARE = 5  # side in pixels of the squares in which features are averaged


def unit_features(network: Any, filters_from: Shape | None = None, uncovered: int = 0) -> Any:
    """Scale the learned features of each pixel to length 1; see `features_tensor`."""
    return _changed(network, layers.UnitNormalization(dtype="float32"), filters_from, uncovered)


def averaged_features(network: Any, filters_from: Shape | None = None, uncovered: int = 0) -> Any:
    """Average the learned features around each pixel; see `features_tensor`."""
    average = layers.AveragePooling2D(_SQUARE, 1, padding="same", dtype="float32")
    return _changed(network, average, filters_from, uncovered)


class _Changed:
    """A network whose features pass through one more layer."""

    def __init__(self, network: Any, layer: Any) -> None:
        self.input = network.input
        self.output = layer(network.get_layer("features").output)

    def get_layer(self, name: str) -> Any:
        return self


def _changed(network: Any, layer: Any, filters_from: Shape | None, uncovered: int) -> Any:
    return features_tensor(_Changed(network, layer), filters_from, uncovered)


def normalised_network(num_bands: int, num_clusters: int, **options: Any) -> Any:
    """Normalise groups of channels before each ReLU (Wu and He 2018); see `build_network`."""

    def copy(layer: Any) -> Any:
        config = layer.get_config()
        if config.get("activation") == "relu" and "conv" in layer.name:
            config["activation"] = "linear"
        return layer.__class__.from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        if "conv" not in layer.name or layer.name == "up0_conv2":
            return output
        norm = layers.GroupNormalization(
            min(_GROUPS, output.shape[-1]), name=f"{layer.name}_norm", dtype=layer.dtype_policy
        )
        return layers.ReLU(dtype=layer.dtype_policy, name=f"{layer.name}_relu")(norm(output))

    network = build_network(num_bands, num_clusters, **options)
    return keras.models.clone_model(network, clone_function=copy, call_function=call)
