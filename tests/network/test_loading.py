"""Libraries that Keras can do without are left out while it loads, and are there afterwards."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from clusternet.network.loading import left_out


def test_a_library_is_left_out_within_the_block_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "library_of_others.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    with left_out(["library_of_others"]), pytest.raises(ImportError):
        importlib.import_module("library_of_others")
    assert importlib.import_module("library_of_others").value == 3
    with left_out(["library_of_others"]):
        assert importlib.import_module("library_of_others").value == 3
    del sys.modules["library_of_others"]
