"""Weights of a network from a file: of its size, finite, and nothing but numbers."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from clusternet.errors import RunError
from clusternet.text_files import taken_apart

_BYTES_A_WEIGHT = 16  # in 64 bits, and what an optimizer keeps beside it
_BYTES_BESIDE = 2**24


def load_weights(network: Any, path: Path) -> None:
    """Fill a network from a .keras or .weights.h5 file.

    Raises:
        RunError: if the file is missing, damaged, or of another network.
    """
    weights = network.count_params()
    message = f"{path}: its weights do not fit this network of {weights:,} weights"
    with taken_apart(RunError, message, more=(EOFError, RuntimeError, UserWarning)):
        _check_sizes(path, _BYTES_A_WEIGHT * weights + _BYTES_BESIDE)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # layers left as they were
            warnings.simplefilter("ignore", RuntimeWarning)  # of what becomes infinite, see below
            network.load_weights(path)
    if not all(np.isfinite(value).all() for value in network.get_weights()):
        raise RunError(f"{path}: holds weights that are NaN or infinite; expected numbers.")


def _check_sizes(path: Path, most: int) -> None:
    """Raise ValueError if a file claims more than so many bytes of arrays."""
    if not zipfile.is_zipfile(path):
        with h5py.File(path, "r") as file:
            _check_arrays(file, most)
        return
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > most:
            raise ValueError("it is far larger")
        with archive.open("model.weights.h5") as stream, h5py.File(stream, "r") as file:
            _check_arrays(file, most)


def _check_arrays(file: h5py.File, most: int) -> None:
    sizes: list[int] = []
    file.visititems(lambda _, item: sizes.append(getattr(item, "nbytes", 0)))
    if sum(sizes) > most:
        raise ValueError("it is far larger")
