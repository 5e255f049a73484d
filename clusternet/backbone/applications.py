"""Networks of ``keras.applications`` by their names, with the preprocessing that each expects."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from clusternet.backbone.faults import refused, url_in
from clusternet.errors import SettingsError
from clusternet.network.backend import channels_last, keras

COARSEST = 16
"""Largest stride of the maps that are taken of a network that is given by its name, in pixels."""
_PROBE = 256


def names() -> dict[str, str]:
    """Return the names of the networks by their lower-case form."""
    functions = inspect.getmembers(keras.applications, inspect.isfunction)
    return {name.lower(): name for name, _ in functions}


def own_layers() -> dict[str, Any]:
    """Return layers of ``keras.applications`` that a file names without saying where they are."""
    found = {}
    for _, module in inspect.getmembers(keras.applications, inspect.ismodule):
        source = inspect.getmodule(getattr(module, "preprocess_input", None))
        for name, member in inspect.getmembers(source, inspect.isclass):
            if issubclass(member, keras.layers.Layer):
                found[name] = member
    return found


@channels_last()
def build(name: str, weights: str | None) -> Any:
    """Build a network up to its maps of a stride of 16 pixels.

    The last layer of each stride gives a map.

    Args:
        name: of a function of ``keras.applications``.
        weights: a file, or ``imagenet``, which Keras downloads.

    Raises:
        SettingsError: if weights are missing, cannot be fetched, or do not fit.
    """
    if weights is None:
        raise SettingsError(
            f"--backbone {name}: expected its weights, found none; add --backbone_weights FILE, or "
            "--backbone_weights imagenet, which Keras downloads."
        )
    network = _create(name, weights)
    with refused(f"--backbone {name}: has no feature maps", SettingsError):
        inputs = keras.Input((None, None, 3), name="rgb")
        maps = _levels(network)(_prepared(inputs, name))
        return keras.Model(inputs, maps, name=name.lower())


def _create(name: str, weights: str) -> Any:
    function, path = getattr(keras.applications, name), Path(weights).expanduser()
    options: dict[str, Any] = {"include_top": False, "input_shape": (None, None, 3)}
    if "include_preprocessing" in inspect.signature(function).parameters:
        options["include_preprocessing"] = True
    if path.is_file():
        with refused(
            f"--backbone_weights {weights}: not the weights of {name} without its head",
            SettingsError, "give the file whose name ends in notop",
        ):  # fmt: skip
            network = function(weights=None, **options)
            network.load_weights(path)
            return network
    if weights != "imagenet":
        raise SettingsError(
            f"--backbone_weights {weights}: expected a file, or imagenet, found no such file."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the image size that weights were made for
            return function(weights="imagenet", **options)
    except Exception as error:  # of whatever kind: Keras raises plain ones
        file = url_in(error) or "the file that Keras names"
        raise SettingsError(
            f"--backbone {name}: its weights cannot be downloaded; fetch {file} elsewhere and give "
            "it with --backbone_weights FILE."
        ) from error


def _prepared(inputs: Any, name: str) -> Any:
    """Return the preprocessing of RGB from 0 to 255 that a network expects.

    Each has a function for it, of which some cannot be part of a network. All are affine maps of
    the three colours, so a 1x1 convolution does the same.
    """
    module = inspect.getmodule(getattr(keras.applications, name))
    colours = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)])[:, None, None].astype(np.float32)
    given = np.asarray(module.preprocess_input(colours.copy()))[:, 0, 0]  # type: ignore[union-attr]
    layer = keras.layers.Conv2D(3, 1, name="preprocessing", trainable=False)
    prepared = layer(inputs)
    layer.set_weights([((given[1:] - given[0]) / 255)[None, None], given[0]])
    return prepared


def _levels(network: Any) -> Any:
    """Return the part of a network that gives the last map of each stride from 2 to `COARSEST`."""
    layers = [one for one in network.layers if len(getattr(one.output, "shape", ())) == 4]
    every = keras.Model(network.inputs, [one.output for one in layers])
    shapes = [one.shape for one in every(keras.KerasTensor((1, _PROBE, _PROBE, 3)))]
    last: dict[int, Any] = {}
    for layer, shape in zip(layers, shapes, strict=True):
        stride = _PROBE // shape[1]
        # a map of another size is one that was padded for the next layer
        if shape[1] * stride == _PROBE and 2 <= stride <= COARSEST:
            last[stride] = layer.output
    return keras.Model(network.inputs, [last[stride] for stride in sorted(last)])
