"""Arrays in npz files: nothing pickled, and nothing that is larger than its file."""

from __future__ import annotations

import struct
import tokenize
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from clusternet.errors import RunError
from clusternet.foreign_errors import reason
from clusternet.text_files import taken_apart
from clusternet.types import AnyArray

# Raised for damaged headers, because NumPy parses the header of an array as a Python literal.
_DAMAGED = (EOFError, RuntimeError, SyntaxError, struct.error, tokenize.TokenError)


def write_arrays(path: Path, arrays: dict[str, AnyArray]) -> None:
    """Write arrays as an uncompressed npz file of exactly this name."""
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, AnyArray]:
    """Read all arrays of an npz file, never anything pickled.

    Raises:
        RunError: if the file is missing or damaged.
    """
    try:
        stream = path.open("rb")  # np.load leaves files open that it fails on
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({reason(error)}).") from error
    with stream, taken_apart(RunError, f"{path}: is no file of arrays (npz)", more=_DAMAGED):
        _check_sizes(stream.seek(0, 2), zipfile.ZipFile(stream))
        stream.seek(0)
        values = np.load(stream, allow_pickle=False)
        if not isinstance(values, Mapping):
            raise ValueError("a single array")
        return dict(values)


def _check_sizes(num_bytes: int, archive: zipfile.ZipFile) -> None:
    """Refuse compressed files: a small one could become huge arrays, and we never compress."""
    if sum(entry.file_size for entry in archive.infolist()) > num_bytes:
        raise ValueError("it is compressed")


def check_array(name: str, array: AnyArray, shape: tuple[int, ...], kinds: str) -> None:
    """Raise ValueError unless an array has a shape and finite numbers of a kind.

    Args:
        name: for the message.
        array: the array.
        shape: the shape that it should have.
        kinds: accepted kinds of NumPy's types: ``f`` for fractions, ``iu`` for whole numbers.
    """
    if array.shape != shape or array.dtype.kind not in kinds:
        raise ValueError(f"{name} is {array.shape} of {array.dtype}, expected {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity")
