"""What a run keeps of its backbone: ``backbone.json``, and the network's file or its path.

This module loads no network.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from operator import index
from pathlib import Path
from typing import Any

from clusternet.backbone.geometry import Geometry
from clusternet.backbone.network_files import digest_of
from clusternet.backbone.stretch import Stretch
from clusternet.errors import RunError
from clusternet.files.outputs import new_file
from clusternet.text_files import read_json, taken_apart
from clusternet.training.run_files import BACKBONE, BACKBONE_NETWORK
from clusternet.training.run_identity import COLUMN


@dataclass(frozen=True)
class StoredBackbone:
    """A backbone as kept in a run; its reduction is in the codebook's file."""

    name: str
    """As the user named it."""
    file: str
    """Of the network: in the run folder, or elsewhere with its full path."""
    digest: str
    """SHA-256 of that file."""
    stretch: Stretch
    geometry: Geometry
    scale: int = 1
    """Factor by which images are enlarged for the network."""

    @property
    def is_copied(self) -> bool:
        """True if the run folder holds the network."""
        return self.file == BACKBONE_NETWORK

    def path(self, folder: Path) -> Path:
        """Return the path of the network's file."""
        return folder / self.file

    def save(self, folder: Path, identity: str) -> None:
        """Write into a run folder."""
        values = {
            "name": self.name,
            "file": self.file,
            "sha256": self.digest,
            "scale": self.scale,
            "stretch": asdict(self.stretch),
            "geometry": self.geometry.to_json(),
            COLUMN: identity,
        }
        with new_file(folder / BACKBONE, overwrite=True) as path:
            path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> StoredBackbone:
        """Read from a run folder.

        Raises:
            RunError: if the file is missing or damaged.
        """
        path = folder / BACKBONE
        if not path.is_file():
            raise RunError(f"{path}: missing, but the run was trained with a backbone; restore it.")
        values = read_json(path, RunError)
        with taken_apart(RunError, f"{path}: is not the backbone.json of a run"):
            return cls(
                name=_text(values["name"]),
                file=_text(values["file"]),
                digest=_text(values["sha256"]),
                stretch=_stretch(values["stretch"]),
                geometry=Geometry.from_json(values["geometry"]),
                scale=_scale(values["scale"]),
            )

    def check_file(self, folder: Path) -> None:
        """Refuse a network that is missing or has changed.

        Raises:
            RunError: naming its file.
        """
        path = self.path(folder)
        if not path.is_file():
            raise RunError(
                f"{path}: missing; it is the backbone that {folder} was trained with. Put it back, "
                "or train anew."
            )
        if digest_of(path, RunError) != self.digest:
            raise RunError(
                f"{path}: is not the backbone that {folder} was trained with, or has changed "
                "(SHA-256 differs); put the old file back, or train anew."
            )


def copy_network(source: Path, digest: str, folder: Path) -> None:
    """Copy the file of a network into a run folder.

    Raises:
        RunError: if the file has changed since its network was loaded.
    """
    with new_file(folder / BACKBONE_NETWORK, overwrite=True) as path:
        shutil.copyfile(source, path)
        if digest_of(path, RunError) != digest:
            raise RunError(f"{source}: has changed during the training; start it again.")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _scale(value: Any) -> int:
    if index(value) < 1:
        raise ValueError(f"a scale of {value}")
    return index(value)


def _stretch(values: Any) -> Stretch:
    red, green, blue = map(index, values["bands"])
    low, high = (tuple(map(float, values[name])) for name in ("low", "high"))
    return Stretch((red, green, blue), low, high)  # type: ignore[arg-type]
