"""Networks of KerasHub, by preset, handle or folder. This module alone uses ``keras_hub``."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from clusternet.backbone.applications import COARSEST
from clusternet.backbone.faults import refused
from clusternet.backbone.measuring import SIDES
from clusternet.errors import ClusterNetError, SettingsError
from clusternet.network.backend import channels_last, keras

_INSTALL = "install it with: pip install 'clusternet[backbones]'"
_SCHEMES = ("kaggle://", "hf://", "modelscope://")
_PRESET = "config.json"


def may_be_preset(name: str) -> bool:
    """Tell whether a name may be one of KerasHub; if it is not installed, many may."""
    if name.startswith(_SCHEMES):
        return True
    if "/" in name or "\\" in name:
        return False
    if importlib.util.find_spec("keras_hub") is None:
        return "_" in name  # as all names of its presets
    return name in _keras_hub(f"--backbone {name}", SettingsError).models.Backbone.presets


def _keras_hub(start: str, kind: type[ClusterNetError]) -> Any:
    try:
        import keras_hub
    except ImportError as error:
        raise kind(
            f"{start}: needs the package keras-hub, which is missing; {_INSTALL}."
        ) from error
    return keras_hub


def load_if_needed(path: Path, start: str, kind: type[ClusterNetError]) -> None:
    """Load KerasHub if a ``.keras`` file holds layers of it.

    Raises:
        ClusterNetError: of ``kind``, if it does and the package is missing.
    """
    with (
        contextlib.suppress(KeyError, OSError, zipfile.BadZipFile),
        zipfile.ZipFile(path) as archive,
    ):
        if b"keras_hub" in archive.read("config.json"):
            _keras_hub(start, kind)


@channels_last()
def build(name: str, folder: Path) -> Any:
    """Build a network with the preprocessing of its preset.

    Of a network with a pyramid of maps those of a stride of up to 16 pixels are taken. Of a
    transformer the last tokens are arranged as a map.

    Raises:
        SettingsError: if the package is missing, or the preset cannot be fetched or used.
    """
    start = f"--backbone {name}"
    preset = name
    if folder.is_dir():
        if not (folder / _PRESET).is_file():
            raise SettingsError(
                f"{start}: expected a folder of a KerasHub preset with {_PRESET}, found none; "
                "give a .keras file, or such a folder."
            )
        preset = str(folder)
    keras_hub = _keras_hub(start, SettingsError)
    advice = (
        "check its files" if folder.is_dir() else
        "without network access fetch the preset elsewhere and give its folder"
    )  # fmt: skip
    with refused(f"{start}: cannot be loaded by KerasHub", SettingsError, advice):
        network = keras_hub.models.Backbone.from_preset(preset)
        converter = _converter(keras_hub, preset)
    with refused(f"{start}: is no network that maps images to features", SettingsError):
        return _with_maps(network, *converter)


def _converter(keras_hub: Any, preset: str) -> tuple[Any, Any]:
    """Return the factor and the offset of RGB that a preset states; none if it states nothing."""
    try:
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except (ValueError, FileNotFoundError):  # a preset without preprocessing
        return 1.0, 0.0
    scale, offset = converter.scale, converter.offset
    return 1.0 if scale is None else scale, 0.0 if offset is None else offset


def _with_maps(network: Any, scale: Any, offset: Any) -> Any:
    given = keras.tree.flatten(network.input)
    if len(given) != 1 or len(given[0].shape) != 4:
        raise ValueError(f"its inputs are {[tuple(one.shape) for one in given]}")
    shape = given[0].shape[1:3]
    pyramid = list(getattr(network, "pyramid_outputs", {}).values())
    maps = [one for one in pyramid if len(one.shape) == 4]
    if maps:
        rgb = keras.Input((*shape, 3), name="rgb")
        fine = keras.Model(given, _up_to_coarsest(given, maps, shape[0] or SIDES[0]))
        return keras.Model(rgb, fine(_prepared(rgb, scale, offset)))
    rows, cols = (size or SIDES[0] for size in shape)
    rgb = keras.Input((rows, cols, 3), name="rgb")
    prepared = _prepared(rgb, scale, offset)
    # applied as a whole: it is saved as it was made, and some of its layers cannot be saved alone
    outputs = keras.tree.flatten(network(keras.tree.pack_sequence_as(network.input, [prepared])))
    if all(len(one.shape) == 4 for one in outputs):
        return keras.Model(rgb, outputs)
    patch = _patch_size(network, (rows, cols))
    return keras.Model(rgb, [_grid(one, rows // patch, cols // patch) for one in outputs])


def _up_to_coarsest(given: list[Any], maps: list[Any], side: int) -> list[Any]:
    """Return the maps of a pyramid of a stride of up to 16 pixels; all if there are none."""
    shapes = keras.Model(given, maps)([keras.KerasTensor((1, side, side, 3))])
    sizes = [one.shape[1] for one in keras.tree.flatten(shapes)]
    fine = [one for one, size in zip(maps, sizes, strict=True) if side / size <= COARSEST]
    return fine or maps


def _prepared(rgb: Any, scale: Any, offset: Any) -> Any:
    layer = keras.layers.Rescaling(
        *(np.broadcast_to(np.asarray(one, float), 3).tolist() for one in (scale, offset)),
        name="preprocessing",
    )
    return layer(rgb)


def _patch_size(network: Any, shape: tuple[int, int]) -> int:
    patch = getattr(network, "patch_size", None)
    sizes = keras.tree.flatten(patch)
    if patch is None or not isinstance(sizes[0], int) or any(size % sizes[0] for size in shape):
        raise ValueError("it gives no maps, and states no size of patches")
    return int(sizes[0])


def _grid(tokens: Any, rows: int, cols: int) -> Any:
    """Arrange the last tokens (images, tokens, depth) as a map; class tokens come before them."""
    if len(tokens.shape) != 3 or tokens.shape[1] is None or tokens.shape[1] < rows * cols:
        raise ValueError(f"its output is {tuple(tokens.shape)}")
    others = int(tokens.shape[1]) - rows * cols
    if others > math.isqrt(rows * cols):
        raise ValueError(f"{tokens.shape[1]} tokens do not fit {rows} x {cols} patches")
    patches = keras.layers.Cropping1D((others, 0), name="without_class_tokens")(tokens)
    return keras.layers.Reshape((rows, cols, int(tokens.shape[2])), name="map")(patches)
