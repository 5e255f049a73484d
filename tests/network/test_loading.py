"""What Keras can do without is left out, or loads when it is used; nothing else changes."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusternet.network.late_modules import LateModules
from clusternet.network.loading import left_out, without_collection


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


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LateModules]:
    """A package whose modules are loaded late, and leave a file when they are."""
    folder = tmp_path / "wide"
    for name in ("", "deep/", "deep/er/"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "__init__.py").write_text("value = 1\n")
    (folder / "one.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'loaded')!r}).touch()\nvalue = 3\n"
    )
    (folder / "broken.py").write_text("import no_such_library\n")
    (folder / "ring.py").write_text("from wide import one\nfrom wide import ring\nvalue = 5\n")
    finder = LateModules(["wide"])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    yield finder
    for name in [name for name in sys.modules if name.partition(".")[0] == "wide"]:
        del sys.modules[name]


def test_a_module_is_loaded_when_something_of_it_is_used(
    package: LateModules, tmp_path: Path
) -> None:
    wide = importlib.import_module("wide")
    one = importlib.import_module("wide.one")
    assert not (tmp_path / "loaded").exists()
    assert one.value == 3
    assert (tmp_path / "loaded").exists()
    assert wide.one is importlib.import_module("wide.one")
    assert wide.one.value == one.value
    with pytest.raises(AttributeError, match="other"):
        _ = one.other


def test_modules_of_modules_and_rings_of_them_load(package: LateModules) -> None:
    deeper = importlib.import_module("wide.deep.er")
    assert deeper.value == importlib.import_module("wide.deep").value == 1
    assert importlib.import_module("wide.ring").value == 5


def test_a_module_that_is_missing_or_fails_says_so(package: LateModules) -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        importlib.import_module("wide.nowhere")
    broken = importlib.import_module("wide.broken")
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        _ = broken.value


def test_garbage_is_collected_again_after_the_block() -> None:
    assert gc.isenabled()
    with without_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.unfreeze()  # as the process of the tests was


OWN_PROCESS = """
import sqlite3, sys
from clusternet.processes.interrupts import interrupts
interrupts.own_process()
from clusternet.network.loading import load_network_library
load_network_library()
assert not {"pandas", "sklearn", "scipy", "tensorflow.lite"} & set(sys.modules)
from clusternet.network.backend import keras
import tensorflow
assert tensorflow.math.add(1, 2) == 3 and tensorflow.compat.v1.nn is not None
import geopandas, shapely
frame = geopandas.GeoDataFrame({"a": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32631)
frame.to_file(sys.argv[1], engine="pyogrio")
names = [name for (name,) in sqlite3.connect(sys.argv[1]).execute("SELECT name FROM sqlite_master")]
assert any(name.startswith("rtree_") for name in names), names
"""


def test_a_process_of_our_own_loads_little_and_writes_spatial_indexes(tmp_path: Path) -> None:
    call = [sys.executable, "-c", OWN_PROCESS, str(tmp_path / "a.gpkg")]
    subprocess.run(call, check=True, timeout=120)
