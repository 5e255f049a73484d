"""Names of classes and layers: every file takes them, and none changes them on the way."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clusternet.errors import LabelError
from clusternet.files.spreadsheet import as_cell, from_cell
from clusternet.legend.land_classes import LandClass, read_class_names, unknown_class
from clusternet.legend.legend import Legend, LegendRow, read_legend, write_legend
from clusternet.legend.names import MAX_NAME, clean_name, warn_of_near_twins
from clusternet.raster import MapForm, create_map, open_raster
from clusternet.raster.categories import read_categories
from clusternet.raster.shapes import layer_names, write_polygons
from clusternet.windows import Window

# what text files, XML, tables and spreadsheets treat in ways of their own
AWKWARD = st.sampled_from(list("\n\r\t\0\x01\x1b\x7f\x85\u2028\ud800\ufffe\ufeff \"',;=+-@<&>$%é'"))
TEXT = st.text(st.one_of(st.characters(codec=None), AWKWARD), max_size=12)


@given(TEXT)
@example("a\nb")
@example("e\u0301")
@example("\u200b \u200b")
def test_a_clean_name_is_one_line_and_stays_as_it_is(text: str) -> None:
    name = clean_name(text)
    assert clean_name(name) == name == name.strip()
    assert len(name.splitlines()) < 2
    name.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (" forest\n", "forest"),
        ("wet\r\nland", "wet land"),
        ("wet\tland", "wet land"),
        ("for\xeat", "forêt"),
        ("fore\u0302t", "forêt"),  # typed as two characters
        ("a\0b\ud800", "a\ufffdb\ufffd"),
        ("Forest", "Forest"),
    ],
)
def test_names_are_cleaned(text: str, name: str) -> None:
    assert clean_name(text) == name


def test_what_cannot_be_kept_is_said(caplog: pytest.LogCaptureFixture) -> None:
    clean_name("a\x01", "labels.gpkg")
    assert "labels.gpkg: the class name 'a\\x01' holds control characters" in caplog.text
    with pytest.raises(LabelError, match="up to 200 characters, found one of 201"):
        clean_name("a" * (MAX_NAME + 1))


def test_names_that_differ_by_case_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_near_twins(["water", "forest", "Forest"], "labels.gpkg")
    assert [record.getMessage() for record in caplog.records] == [
        "labels.gpkg: 'Forest' and 'forest' differ by upper and lower case only; they are taken "
        "as two classes."
    ]


@given(names=st.lists(TEXT.map(clean_name).filter(bool), min_size=1, max_size=5, unique=True))
@example(names=["=cmd|' /C calc'!A0", "'=1", "''+1", "-", "a,b", 'say "a"', "<b>&"])
@settings(max_examples=60)
def test_names_survive_legends_and_maps(names: list[str], tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("names")
    rows = tuple(LegendRow(i, LandClass(i, name, (1, 2, 3))) for i, name in enumerate(names))
    write_legend(folder / "legend.csv", Legend(rows))
    assert read_legend(folder / "legend.csv") == Legend(rows)
    with (folder / "legend.csv").open(newline="", encoding="utf-8") as text:
        cells = [cell for line in csv.reader(text) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


@given(TEXT)
def test_cells_give_their_text_back(text: str) -> None:
    assert from_cell(as_cell(text)) == text


@pytest.fixture
def grid(write_raster):
    with open_raster(write_raster("grid.tif", np.zeros((8, 9), np.uint8))) as raster:
        return raster.profile


def test_a_map_takes_any_name(tmp_path: Path, grid) -> None:
    names = ["a\nb", "x\x01\0\ud800", "<&>\"'", "  ", "日本 🙂", "=1"]
    with create_map(tmp_path / "m.tif", grid, MapForm(names=names)) as writer:
        writer.write(Window(0, 0, *grid.shape), np.zeros(grid.shape, np.uint8))
    expected = {number: clean_name(name) for number, name in enumerate(names) if name.strip()}
    assert read_categories(tmp_path / "m.tif")[0] == expected


LAYERS = st.one_of(
    TEXT,
    st.sampled_from([
        "(1) scene", "#1", "gpkg_x", "GPKG", "sqlite_x", "rtree_scene_geom", "scene", "SCENE",
        "'", '"', "[a]", "ogr_empty_table", "layer_styles", "select", "1", "a" * 250, "a" * 251,
        "日本", "scene_2",
    ]),
)  # fmt: skip


@given(wanted=st.lists(LAYERS, min_size=1, max_size=6))
@example(wanted=["scene", "rtree_scene_geom", "SCENE", "scene_2", "(1) scene", "#1", "", "gpkg_x"])
@settings(max_examples=20)
def test_a_geopackage_takes_the_name_of_any_map(wanted: list[str], tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("layers") / "p.gpkg"
    names = layer_names(wanted)
    for name in names:
        square = np.array([shapely.box(0, 0, 1, 1)], object)
        write_polygons(
            path, name, square, {"class": [1]}, "EPSG:32631", tag="polygons", append=False
        )
    assert pyogrio.list_layers(path)[:, 0].tolist() == names


def test_plain_layer_names_stay() -> None:
    assert layer_names(["a_classes", "A_classes", "b.c d"]) == ["a_classes", "A_classes_2", "b.c d"]


def test_one_key_names_one_class(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    for text, message in (
        ('{"1": "a", "1": "b"}', "two entries of the same key"),
        ('{"1": "a", "01": "b"}', "names the class 1 twice"),
        ('{"1": " "}', "expected"),
        ('{"65535": "a"}', "numbers up to 65534"),
        ("[" * 100_000, "is no JSON"),
    ):
        path.write_text(text)
        with pytest.raises(LabelError, match=message):
            read_class_names(path)


def test_unknown_takes_a_free_number_where_the_last_is_taken() -> None:
    classes = {n: LandClass(n, f"c{n}", (0, 0, 0)) for n in (0, 65534)}
    assert unknown_class(classes).number == 1
