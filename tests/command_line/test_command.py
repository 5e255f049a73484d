"""How scripts end: one line for a mistake, whatever raised it; a fault of ours keeps its trace."""

from __future__ import annotations

import errno
import importlib
import io
import json
import logging
import os
import sqlite3
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.errors
import pyproj
import pytest
import rasterio
import rasterio.shutil
import shapely
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from clusternet.command_line.command import run_command, say
from clusternet.errors import ClusterNetError, RasterError
from clusternet.foreign_errors import FOREIGN as FOREIGN_NAMES
from clusternet.foreign_errors import converted, is_foreign, reason
from clusternet.messages import MOST, one_line, printable, short, short_value
from clusternet.process_setup import prepare_process, variables_of_others

LOCAL = 'LOCAL_CS["local",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'


def never_ends() -> None:
    json.loads("[" * 100_000)


def of_gdal() -> None:
    with rasterio.Env():
        transform_bounds(CRS.from_wkt(LOCAL), CRS.from_epsg(32632), 0, 0, 1, 1)


def of_a_crs() -> None:
    with rasterio.Env():
        CRS.from_epsg(999_999)


FOREIGN = {
    "GDAL while transforming": of_gdal,
    "GDAL while copying": lambda: rasterio.shutil.copy("nowhere.tif", "b.tif"),
    "GDAL while opening": lambda: rasterio.open("nowhere.tif"),
    "a CRS": of_a_crs,
    "PROJ": lambda: pyproj.CRS("EPSG:999999"),
    "vectors": lambda: pyogrio.read_info("nowhere.gpkg"),
    "GEOS": lambda: shapely.from_wkt("LINESTRING (1 1)"),
    "a picture": lambda: Image.open(io.BytesIO(b"no picture")),
    "YAML": lambda: yaml.safe_load("a: [1,"),
    "JSON": lambda: json.loads("{"),
    "zip": lambda: zipfile.ZipFile(io.BytesIO(b"no zip")),
    "a database": lambda: sqlite3.connect("/nowhere/at/all.db"),
    "nested text": never_ends,
    "bytes": lambda: b"\xdf".decode(),
    "memory": lambda: np.empty((10**6, 10**6, 10**3)),
    "a missing package": lambda: __import__("no_such_package"),
    "a folder for a file": lambda: Path(os.curdir).read_bytes(),
    "a long name": lambda: Path("x" * 300).is_file(),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_an_exception_of_a_library_ends_in_one_line(
    name: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        run_command(FOREIGN[name])
    printed = capfd.readouterr()
    assert (end.value.code, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert printed.err.startswith("error: ") and len(printed.err) < 310
    assert "$schema" not in printed.err and "AXIS" not in printed.err


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ELOOP, errno.ENOSPC])
def test_what_the_system_refuses_names_the_file_and_the_cause(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> None:
        raise OSError(number, os.strerror(number), "scene.tif")

    with pytest.raises(SystemExit):
        run_command(refused)
    cause = "no permission" if number == errno.EACCES else os.strerror(number)
    assert capsys.readouterr().err.startswith(f"error: scene.tif: cannot be used ({cause})")


def test_a_fault_of_ours_keeps_its_traceback_and_asks_for_a_report() -> None:
    with pytest.raises(ZeroDivisionError) as end:
        run_command(lambda: print(1 / 0))
    assert "please report" in end.value.__notes__[-1]


def test_a_name_with_a_newline_leaves_an_error_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise RasterError("two\nlines\x1b[31m\udcff.tif: is damaged.")

    with pytest.raises(SystemExit):
        run_command(fail)
    assert capsys.readouterr().err == "error: two\\nlines\\x1b[31m\\xff.tif: is damaged.\n"


def test_so_does_one_in_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    kept, root.handlers = root.handlers, []
    try:
        run_command(lambda: logging.getLogger("clusternet").warning("two\nlines"))
    finally:
        root.handlers = kept
    assert capsys.readouterr().err == "WARNING: two\\nlines\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_without_the_letters_of_a_class_gets_them_escaped(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", console)
    run_command(lambda: say("maps: forêt, лес \udcff"))
    console.flush()
    shown = console.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert "\\u043b\\u0435\\u0441 \\xff" in shown and "maps: for" in shown


def test_a_result_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as end:
            run_command(lambda: say("done"))
    assert end.value.code == 2
    assert "cannot be printed (No space left on device)" in capsys.readouterr().err


def test_a_listed_exception_becomes_an_error_that_names_the_file() -> None:
    with pytest.raises(RasterError, match=r"^a\.tif: is no raster \(zip: bad\)\.$"):
        with converted(RasterError, "a.tif: is no raster"):
            raise zipfile.BadZipFile("bad.")


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_what_is_listed_exists(name: str) -> None:
    """A class that a library renames would otherwise be missed in silence."""
    module, _, last = name.rpartition(".")
    if module.partition(".")[0] in ("jaxlib", "tensorflow", "torch"):
        pytest.skip("not here, or slow to load")
    assert issubclass(getattr(importlib.import_module(module), last), Exception)


def test_others_pass_through_unchanged() -> None:
    for error in (RasterError("a"), KeyError("b")):
        with pytest.raises(type(error)) as end, converted(ClusterNetError, "c"):
            raise error
        assert end.value is error


def test_a_subclass_of_a_listed_exception_is_listed() -> None:
    assert is_foreign(pyogrio.errors.GeometryError("x")) and not is_foreign(ValueError("x"))


def test_a_definition_of_a_crs_is_replaced_by_its_name() -> None:
    wkt = CRS.from_epsg(32632).to_wkt()
    text = f"no way from {wkt} to {pyproj.CRS(LOCAL).to_json()} or [1, 2]"
    assert one_line(text) == "no way from WGS 84 / UTM zone 32N to local or [1, 2]"


@given(st.text())
def test_printable_text_is_one_line_and_encodes(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1 and shown.encode("utf-8").decode() == shown
    assert printable(shown) == shown


@given(st.text(), st.integers(20, MOST))
def test_short_text_keeps_both_ends(text: str, most: int) -> None:
    shown = short(text, most)
    assert len(shown) <= most and (shown == text or len(text) > most)
    assert shown[:5] == text[:5] and shown[-5:] == text[-5:]


def test_a_value_is_shown_short_however_large_it_is() -> None:
    bomb: Any = "x"
    for _ in range(60):
        bomb = [bomb] * 9  # 9 ** 60 texts
    assert len(short_value(bomb)) <= 80 and short_value(2.7) == "2.7"


# --- variables that name the data of another installation -------------------------------------
@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data of an older PROJ, and no variable that names any."""
    for name in ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "proj"
    folder.mkdir()
    with sqlite3.connect(folder / "proj.db") as database:
        database.execute("CREATE TABLE metadata (key TEXT, value TEXT)")
        rows = [(f"DATABASE.LAYOUT.VERSION.{n}", v) for n, v in (("MAJOR", "1"), ("MINOR", "0"))]
        database.executemany("INSERT INTO metadata VALUES (?, ?)", rows)
    database.close()
    return folder


@pytest.mark.parametrize("name", ["PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH"])
def test_a_process_leaves_out_what_names_the_data_of_others(
    others: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(others))
    assert variables_of_others() == [name]
    prepare_process()
    assert name not in os.environ and variables_of_others() == []


@pytest.mark.parametrize("value", ["", "/nowhere", "{others}/none", "{others}:{own}"])
def test_a_path_without_usable_data_is_left_out(
    others: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Path(rasterio.__file__).parent / "proj_data"
    monkeypatch.setenv("PROJ_LIB", value.format(others=others, own=own))
    assert variables_of_others() == ["PROJ_LIB"]


def test_data_of_the_same_kind_stay_in_force(others: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may hold grids that the package does not bring along."""
    own = Path(rasterio.__file__).parent / "proj_data"
    monkeypatch.setenv("PROJ_DATA", f"{own}{os.pathsep}{others}")
    assert variables_of_others() == []


def test_an_error_of_proj_names_the_variable(others: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJ_LIB", str(others))
    assert reason(rasterio.errors.CRSError("no such CRS")).startswith("PROJ: PROJ_LIB names")


@pytest.mark.parametrize(
    ("backend", "before", "after"),
    [
        ("jax", None, "--xla_gpu_deterministic_ops=true"),
        ("jax", "--xla_a=1", "--xla_a=1 --xla_gpu_deterministic_ops=true"),
        ("jax", "--xla_gpu_deterministic_ops=false", "--xla_gpu_deterministic_ops=false"),
        ("tensorflow", None, None),
    ],
)
def test_jax_adds_in_a_fixed_order_unless_told_otherwise(
    backend: str, before: str | None, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if before is not None:
        monkeypatch.setenv("XLA_FLAGS", before)
    prepare_process()
    assert os.environ.get("XLA_FLAGS") == after
