"""Files of pretrained networks, looked at before Keras, which takes seconds, is loaded."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from clusternet.errors import ClusterNetError, SettingsError
from clusternet.foreign_errors import reason

_FILE_ENDINGS = (".keras", ".h5", ".hdf5", ".pb", ".onnx", ".pt", ".pth", ".safetensors", ".tflite")


def file_of(name: str) -> Path | None:
    """Return the file that ``--backbone`` names; None if it names a network."""
    path = Path(name).expanduser()
    is_named = path.suffix.lower() in _FILE_ENDINGS and "://" not in name
    return path if path.is_file() or is_named else None


def start_of(path: Path, kind: type[ClusterNetError]) -> str:
    """Return the start of messages about a file, from the error that they become."""
    return f"--backbone {path}" if kind is SettingsError else str(path)


def check_network_file(path: Path, kind: type[ClusterNetError]) -> None:
    """Raise ``kind`` if there is no such file, or it is none that Keras 3 has saved."""
    start = start_of(path, kind)
    if not path.is_file():
        raise kind(f"{start}: expected a file, found none; check its path.")
    if path.suffix.lower() != ".keras" or not zipfile.is_zipfile(path):
        raise kind(
            f"{start}: expected a .keras file of Keras 3, found another format; save the network "
            "with model.save('NAME.keras')."
        )


def digest_of(path: Path, kind: type[ClusterNetError]) -> str:
    """Return the SHA-256 of a file.

    Raises:
        ClusterNetError: of ``kind``, if it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise kind(f"{path}: cannot be read ({reason(error)}).") from error


def check_backbone(name: str | None) -> None:
    """Refuse a file that cannot be the network; names of networks are known to Keras alone.

    Raises:
        SettingsError: see `check_network_file`.
    """
    if name is not None and (path := file_of(name)) is not None:
        check_network_file(path, SettingsError)
