"""A class has one colour in every command: that of a file or legend, else that of its name."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from conftest import WriteRaster

from clusternet.areas.strata import count_strata, open_class_maps
from clusternet.evaluation.evaluate import evaluate
from clusternet.labels.rasterization import rasterize_labels
from clusternet.legend.class_list import make_class_list
from clusternet.legend.familiar import COLOURS
from clusternet.legend.land_classes import make_classes
from clusternet.raster.categories import read_categories

NAMES = {1: "Wasser", 2: "car", 4: "forêts"}


@pytest.fixture
def labels(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """A label raster of three classes, burnt from polygons; vectors lie beside it."""
    grid = write_raster("grid.tif", np.zeros((12, 12), np.uint8))
    with rasterio.open(grid) as raster:
        corners = [raster.transform @ (0, row) for row in (0, 4, 8, 12)]
        right, _ = raster.transform @ (12, 0)
        crs = raster.crs
    bands = [shapely.box(x, bottom, right, top)
             for (x, top), (_, bottom) in pairwise(corners)]  # fmt: skip
    frame = geopandas.GeoDataFrame({"class": list(NAMES.values())}, geometry=bands, crs=crs)
    frame.to_file(tmp_path / "shapes.gpkg")
    rasterize_labels(tmp_path / "shapes.gpkg", grid, tmp_path / "labels.tif")
    return tmp_path / "labels.tif"


def test_commands_agree_on_the_colours_of_names(labels: Path) -> None:
    names, stated = read_categories(labels)
    burnt = {name: stated[number] for number, name in names.items()}
    assert burnt["Wasser"] == COLOURS["water"] and burnt["forêts"] == COLOURS["forest"]
    named = {c.name: c.colour for c in make_classes(names, names).values()}
    report = evaluate(labels, labels, clusters=False)
    scored = dict(zip(report.class_names, map(tuple, report.colours.tolist()), strict=True))
    strata = {c.name: c.colour for c in count_strata(open_class_maps(labels)).classes}
    assert named == strata == burnt
    assert {name: scored[name] for name in burnt} == burnt


def test_reports_show_the_colours_that_a_map_states(labels: Path) -> None:
    with rasterio.open(labels, "r+") as raster:
        raster.write_colormap(1, {number: (10 * number + 50, 7, 9) for number in range(5)})
    colours = read_categories(labels)[1]
    report = evaluate(labels, labels, clusters=False)
    for number, name in read_categories(labels)[0].items():
        shown = report.colours[report.class_names.index(name)].tolist()
        assert tuple(shown) == colours[number]


def test_colours_that_the_user_lists_win(labels: Path) -> None:
    names = read_categories(labels)[0]
    listed = make_class_list(names, dict.fromkeys(names, (1, 2, 3)))
    report = evaluate(labels, labels, clusters=False, classes=listed)
    for name in names.values():
        assert report.colours[report.class_names.index(name)].tolist() == [1, 2, 3]
