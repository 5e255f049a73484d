"""Open the network that ``--backbone`` names: a file, a network of Keras, or one of KerasHub."""

from __future__ import annotations

import contextlib
import difflib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusternet.backbone import applications, hub
from clusternet.backbone.faults import refused
from clusternet.backbone.network_files import check_network_file, digest_of, file_of, start_of
from clusternet.errors import ClusterNetError, SettingsError
from clusternet.network.backend import channels_last, keras


@dataclass(frozen=True)
class Opened:
    """A network, and the file that it was read from."""

    name: str
    """As the user named it."""
    network: Any
    """Maps RGB from 0 to 255 (images, rows, cols, 3) to a list of feature maps
    (images, rows', cols', depth)."""
    file: Path | None
    """None of a network that Keras built by its name."""
    digest: str | None
    """SHA-256 of the file."""


def open_backbone(name: str, weights: str | None = None) -> Opened:
    """Open a network, from a file or by its name.

    Args:
        name: a ``.keras`` file, a function of ``keras.applications``, or a KerasHub preset.
        weights: of a network of ``keras.applications``: a file, or ``imagenet``.

    Raises:
        SettingsError: saying which file or package is missing, or what is wrong with the network.
    """
    path = Path(name).expanduser()
    if file_of(name) is not None:
        _refuse_weights(name, weights)
        return open_file(path, SettingsError)
    known = applications.names()
    if (found := known.get(name.lower())) is not None and not path.is_dir():
        with _quiet():
            return Opened(name, _as_maps(applications.build(found, weights), name), None, None)
    _refuse_weights(name, weights)
    if not path.is_dir() and not hub.may_be_preset(name):
        near = difflib.get_close_matches(name.lower(), known, 1)
        hint = f" Did you mean {known[near[0]]}?" if near else ""
        raise SettingsError(
            f"--backbone {name}: expected a .keras file, a network of keras.applications or a "
            f"KerasHub preset, found no such file, network or preset.{hint}"
        )
    with _quiet():
        return Opened(name, _as_maps(hub.build(name, path), name), None, None)


def _refuse_weights(name: str, weights: str | None) -> None:
    if weights is not None:
        raise SettingsError(
            f"--backbone_weights: goes with networks of keras.applications; --backbone {name} "
            "brings its own weights. Leave it out."
        )


def open_file(path: Path, kind: type[ClusterNetError]) -> Opened:
    """Open a ``.keras`` file, in which no code may be.

    Args:
        path: the file.
        kind: the error to raise.
    """
    check_network_file(path, kind)
    start = start_of(path, kind)
    digest = digest_of(path, kind)
    hub.load_if_needed(path, start, kind)
    with _quiet(), refused(f"{start}: cannot be loaded by Keras", kind):
        network = keras.models.load_model(
            path, compile=False, safe_mode=True, custom_objects=applications.own_layers()
        )
    return Opened(str(path), _as_maps(network, str(path), kind), path, digest)


def _as_maps(network: Any, name: str, kind: type[ClusterNetError] = SettingsError) -> Any:
    """Return a network with one input, RGB, and a flat list of feature maps.

    Raises:
        ClusterNetError: of ``kind``, if it has other inputs or outputs.
    """
    start = f"--backbone {name}" if kind is SettingsError else name
    with refused(f"{start}: is no network that can be applied", kind):
        inputs = list(network.inputs or [])
        shapes = [tuple(one.shape) for one in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] != 3:
        found = ", ".join(map(str, shapes)) or "none"
        raise kind(
            f"{start}: expected one input (images, rows, cols, 3), RGB from 0 to 255, found "
            f"{found}."
        )
    rgb = keras.Input(shapes[0][1:], name="rgb")
    with refused(f"{start}: cannot be applied to RGB", kind):
        given = network(rgb if len(inputs) == 1 else [rgb], training=False)
    maps = keras.tree.flatten(given)
    wrong = [tuple(one.shape) for one in maps if len(one.shape) != 4 or one.shape[3] is None]
    if wrong or not maps:
        raise kind(
            f"{start}: expected feature maps (images, rows, cols, features), found "
            f"{wrong[0] if wrong else 'no output'}; save the network without "
            "its head, up to a layer that gives maps."
        )
    return keras.Model(rgb, maps, name="backbone")


@channels_last()
def enlarged(network: Any, factor: int, name: str, kind: type[ClusterNetError]) -> Any:
    """Return a network that enlarges images by a factor first.

    Args:
        network: of an `Opened`.
        factor: a whole number; 1 leaves the network as it is.
        name: of the network, for messages.
        kind: the error to raise.

    Raises:
        ClusterNetError: of ``kind``, if the network's fixed size is no multiple of the factor.
    """
    if factor == 1:
        return network
    sides = network.inputs[0].shape[1:3]
    if any(side is not None and side % factor for side in sides):
        raise kind(
            f"--backbone_scale {factor}: expected a divisor of {sides[0]} and {sides[1]}, the size "
            f"of images that {name} takes."
        )
    rgb = keras.Input((*(side and side // factor for side in sides), 3), name="rgb")
    larger = keras.layers.UpSampling2D(factor, interpolation="bilinear", name="enlarged")(rgb)
    return keras.Model(rgb, keras.tree.flatten(network(larger)), name="backbone")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let Keras print its progress on stderr: stdout is for results."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
