"""Weights come out of a file as they went in, whatever its form, or the file is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from clusternet.errors import RunError
from clusternet.network.unet import build_network
from clusternet.network.weight_files import load_weights


def network(clusters: int = 3, seed: int | None = 1) -> Any:
    return build_network(2, clusters, shape=(16, 16), base_filters=1, num_features=2, seed=seed)


@pytest.fixture(scope="module")
def trained() -> Any:
    return network(seed=7)


@pytest.fixture(params=["a.keras", "a.weights.h5"])
def stored(trained: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path: Path = tmp_path / request.param
    (trained.save if path.suffix == ".keras" else trained.save_weights)(path)
    return path


def assert_same(found: Any, expected: Any) -> None:
    for value, wanted in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(value, wanted)


def test_a_network_is_filled(trained: Any, stored: Path) -> None:
    empty = network(seed=None)
    assert not any(value.any() for value in empty.get_weights())
    load_weights(empty, stored)
    assert_same(empty, trained)


def test_weights_of_another_network_are_refused(stored: Path) -> None:
    with pytest.raises(RunError, match="do not fit"):
        load_weights(network(clusters=4), stored)


def without_names(file: h5py.File) -> None:
    for group in file["layers"].values():
        group["vars"].attrs.clear()


def test_files_that_do_not_name_layers_are_read_by_keras(trained: Any, tmp_path: Path) -> None:
    trained.save_weights(path := tmp_path / "a.weights.h5")
    with h5py.File(path, "r+") as file:
        without_names(file)
    load_weights(empty := network(), path)
    assert_same(empty, trained)


def replaced(file: h5py.File, value: Any) -> None:
    del file["layers/conv2d/vars/0"]
    if value is not None:
        file["layers/conv2d/vars/0"] = value


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: replaced(file, None),
        lambda file: replaced(file, np.ones((3, 3, 2, 2), np.float32)),
        lambda file: replaced(file, np.full((3, 3, 2, 1), np.nan, np.float32)),
        lambda file: replaced(file, np.full((3, 3, 2, 1), b"text")),
        lambda file: file.pop("layers/conv2d_3"),
        lambda file: file.pop("layers"),
    ],
    ids=["missing", "shape", "not finite", "text", "layer", "all"],
)
def test_damaged_weights_are_refused(
    trained: Any, tmp_path: Path, damage: Callable[[h5py.File], None]
) -> None:
    trained.save_weights(path := tmp_path / "a.weights.h5")
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(RunError, match=r"a\.weights\.h5"):
        load_weights(network(), path)
