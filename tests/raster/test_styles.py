"""Styles that QGIS finds beside maps, and what it leaves in files that it styled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from conftest import WriteRaster

from clusternet.classes.polygons import PolygonOptions, write_class_polygons
from clusternet.legend.land_classes import make_classes
from clusternet.raster import MapForm, create_map, open_raster
from clusternet.raster.shapes import read_shapes
from clusternet.windows import Window

COLOURS = np.array([[1, 2, 3], [0, 0, 0], [255, 128, 0]], np.uint8)


def write_map(path: Path, source: Path, **options: object) -> None:
    with open_raster(source) as raster:
        grid = raster.profile
    with create_map(path, grid, MapForm(nodata=255, **options), overwrite=True) as writer:
        writer.write(Window(0, 0, *grid.shape), np.zeros(grid.shape, np.uint8))


def legend(path: Path) -> list[tuple[str, str, str]]:
    entries = ElementTree.parse(path).getroot().iter("paletteEntry")
    return [(e.attrib["value"], e.attrib["label"], e.attrib["color"]) for e in entries]


@pytest.fixture
def source(write_raster: WriteRaster) -> Path:
    return write_raster("scene.tif", np.ones((8, 9), np.uint8))


def test_the_legend_holds_the_values_that_have_a_name(source: Path, tmp_path: Path) -> None:
    write_map(tmp_path / "a.tif", source, colours=COLOURS, names=["field & wood", "", "straße"])
    assert legend(tmp_path / "a.qml") == [
        ("0", "field & wood", "#010203"), ("2", "straße", "#ff8000"),
    ]  # fmt: skip


def test_without_names_the_legend_holds_the_values_that_have_a_colour(
    source: Path, tmp_path: Path
) -> None:
    write_map(tmp_path / "a.tif", source, colours=COLOURS)
    assert legend(tmp_path / "a.qml") == [("0", "0", "#010203"), ("2", "2", "#ff8000")]


def test_a_map_without_colours_leaves_a_style_of_the_user_alone(
    source: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.qml").write_text("mine")
    write_map(tmp_path / "a.tif", source)
    assert (tmp_path / "a.qml").read_text() == "mine"


def test_side_files_of_a_map_that_fails_do_not_appear(source: Path, tmp_path: Path) -> None:
    with open_raster(source) as raster:
        grid = raster.profile
    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        form = MapForm(colours=COLOURS, names=["a", "b", "c"])
        with create_map(tmp_path / "a.tif", grid, form):
            raise KeyboardInterrupt
    assert sorted(tmp_path.iterdir()) == before


def test_polygons_get_the_colours_of_their_classes(source: Path, tmp_path: Path) -> None:
    classes = make_classes([0, 1], {0: "field", 1: "wood"}, {0: (1, 2, 3)})
    write_class_polygons(tmp_path / "p.gpkg", [source], classes, PolygonOptions())
    root = ElementTree.parse(tmp_path / "p.qml").getroot()
    renderer = root.find("renderer-v2")
    assert renderer is not None and renderer.attrib["attr"] == "class"
    categories = [(c.attrib["value"], c.attrib["label"]) for c in root.iter("category")]
    assert categories == [("0", "field"), ("1", "wood")]
    colours = [e.attrib["value"] for e in root.iter("Option") if e.attrib.get("name") == "color"]
    assert colours[0] == "1,2,3,255"


def test_labels_that_were_styled_in_qgis_are_still_one_layer(tmp_path: Path) -> None:
    path = tmp_path / "labels.gpkg"
    shapes = geopandas.GeoDataFrame({"class": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32631)
    shapes.to_file(path, layer="labels")
    style = pd.DataFrame({"styleName": ["mine"], "styleQML": ["<qgis/>"]})
    pyogrio.write_dataframe(style, path, layer="layer_styles", append=True)
    assert read_shapes(path).names == {0: "a"}


def test_the_cache_of_decoded_blocks_is_bounded() -> None:
    code = "from clusternet.process_setup import prepare_process\nprepare_process()\n"
    code += "from rasterio._env import get_gdal_config\n"
    code += "print(get_gdal_config('GDAL_CACHEMAX'))"
    clean = {key: value for key, value in os.environ.items() if key != "GDAL_CACHEMAX"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=clean, check=True
    )
    assert int(done.stdout) == 256 * 2**20
