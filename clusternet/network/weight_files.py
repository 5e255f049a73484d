"""Weights of a network from a file: of its size, finite, and nothing but numbers."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import zip_longest
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
        with _opened(path, _BYTES_A_WEIGHT * weights + _BYTES_BESIDE) as file:
            is_filled = _fill(network, file)
        if not is_filled:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # layers left as they were
                # of what becomes infinite, see below
                warnings.simplefilter("ignore", RuntimeWarning)
                network.load_weights(path)
    if not all(np.isfinite(value).all() for value in network.get_weights()):
        raise RunError(f"{path}: holds weights that are NaN or infinite; expected numbers.")


@contextmanager
def _opened(path: Path, most: int) -> Iterator[h5py.File]:
    """Open the arrays of a file. Raise ValueError if it claims more than so many bytes of them."""
    with ExitStack() as stack:
        source: Any = path
        if zipfile.is_zipfile(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            if sum(entry.file_size for entry in archive.infolist()) > most:
                raise ValueError("it is far larger")
            # as a whole, since a thousand small reads of an archive take a tenth of a second
            source = io.BytesIO(archive.read("model.weights.h5"))
        file = stack.enter_context(h5py.File(source, "r"))
        _check_arrays(file, most)
        yield file


def _fill(network: Any, file: h5py.File) -> bool:
    """Fill a network from a file that names each layer of it, and nothing else.

    Keras itself takes four times as long for it. It reads files of other versions, too.

    Returns:
        False, with the network as it was, if the file has another form or other arrays.
    """
    stored: dict[str, list[Any]] = {}
    for group in file["layers"].values() if "layers" in file else ():
        arrays = group.get("vars", {})
        if len(arrays):
            name = str(arrays.attrs.get("name", ""))
            stored[name] = [arrays.get(str(index)) for index in range(len(arrays))]
    layers = {layer.name: layer for layer in network.layers if layer.weights}
    if stored.keys() != layers.keys():
        return False
    pairs = [pair for name in layers for pair in zip_longest(layers[name].weights, stored[name])]
    if not all(_fits(array, weight) for weight, array in pairs):
        return False
    for weight, array in pairs:
        weight.assign(array[()])
    return True


def _fits(array: Any, weight: Any) -> bool:
    """Tell whether an array of a file, if it is one, holds the numbers of a weight."""
    if not isinstance(array, h5py.Dataset) or weight is None:
        return False
    return bool(array.dtype.kind == "f" and array.shape == tuple(weight.shape))


def _check_arrays(file: h5py.File, most: int) -> None:
    sizes: list[int] = []
    file.visititems(lambda _, item: sizes.append(getattr(item, "nbytes", 0)))
    if sum(sizes) > most:
        raise ValueError("it is far larger")
