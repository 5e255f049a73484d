"""Files beside an output: ours come and go with it, those of others stay."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from conftest import WriteRaster

from clusternet.classes import polygons as writing
from clusternet.classes.polygons import PolygonOptions, check_new_polygons, write_class_polygons
from clusternet.errors import OutputError
from clusternet.files.outputs import KIND_TAG
from clusternet.legend.land_classes import make_classes
from clusternet.raster import MapForm, check_new_map, create_map, open_raster
from clusternet.raster.categories import read_categories
from clusternet.windows import Window

COLOURS = np.array([[1, 2, 3], [200, 0, 0]], np.uint8)
SIDES = ("a.qml", "a.tif.aux.xml")
# as versions wrote them that signed nothing
OLD_STYLE = (
    '<qgis version="3.22.0" styleCategories="Symbology"><pipe><rasterrenderer /></pipe></qgis>'
)
OLD_NAMES = (
    '<PAMDataset><PAMRasterBand band="1">'
    "<CategoryNames><Category>old</Category></CategoryNames></PAMRasterBand></PAMDataset>"
)


@pytest.fixture
def source(write_raster: WriteRaster) -> Path:
    return write_raster("in/scene.tif", np.ones((8, 9), np.uint8))


def write_map(
    path: Path, source: Path, names: list[str] | None, *, overwrite: bool = False
) -> None:
    with open_raster(source) as raster:
        grid = raster.profile
    form = MapForm(nodata=255, colours=COLOURS, names=names, tags={KIND_TAG: "classes"})
    with create_map(path, grid, form, overwrite=overwrite) as writer:
        writer.write(Window(0, 0, *grid.shape), np.zeros(grid.shape, np.uint8))


@pytest.mark.parametrize("overwrite", [False, True])
def test_side_files_of_others_stay_and_the_map_comes_without(source, tmp_path, caplog, overwrite):
    for name in SIDES:
        (tmp_path / name).write_text(f"<mine>{name}</mine>")
    write_map(tmp_path / "a.tif", source, ["x", "y"], overwrite=overwrite)
    for name in SIDES:
        assert (tmp_path / name).read_text() == f"<mine>{name}</mine>"
        assert f"{name}: kept, since ClusterNet did not write it" in caplog.text


def test_side_files_of_ours_follow_their_map(source, tmp_path, caplog):
    write_map(tmp_path / "a.tif", source, ["x", "y"])
    before = [(tmp_path / name).read_bytes() for name in SIDES]
    write_map(tmp_path / "a.tif", source, ["new", "names"], overwrite=True)
    assert all(
        (tmp_path / name).read_bytes() != was for name, was in zip(SIDES, before, strict=True)
    )
    assert read_categories(tmp_path / "a.tif")[0] == {0: "new", 1: "names"}
    write_map(tmp_path / "a.tif", source, None, overwrite=True)
    assert not (tmp_path / "a.tif.aux.xml").exists() and not caplog.text


@pytest.mark.parametrize("name", SIDES)
def test_side_files_of_ours_are_outputs_like_any_other(source, tmp_path, name):
    write_map(tmp_path / "a.tif", source, ["x", "y"])
    (tmp_path / "a.tif").unlink()
    (tmp_path / next(other for other in SIDES if other != name)).unlink()
    before = (tmp_path / name).read_bytes()
    with pytest.raises(OutputError, match=rf"{name}: exists already; --overwrite replaces it"):
        check_new_map(tmp_path / "a.tif", "classes", overwrite=False)
    with pytest.raises(OutputError, match=f"{name}: exists already"):
        write_map(tmp_path / "a.tif", source, ["x", "y"])
    assert [path.name for path in tmp_path.glob("*a.*")] == [name]
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "was", "becomes"),
    [("a.qml", "#c80000", "#00ff00"), ("a.tif.aux.xml", ">y<", ">why<")],
)
def test_a_side_file_that_was_edited_is_no_longer_ours(source, tmp_path, name, was, becomes):
    write_map(tmp_path / "a.tif", source, ["x", "y"])
    text = (tmp_path / name).read_text()
    assert was in text
    (tmp_path / name).write_text(text.replace(was, becomes))
    write_map(tmp_path / "a.tif", source, ["new", "names"], overwrite=True)
    assert (tmp_path / name).read_text() == text.replace(was, becomes)


def test_names_survive_that_a_map_is_looked_at_and_are_still_ours(source, tmp_path):
    write_map(tmp_path / "a.tif", source, ["x", "y"])
    with rasterio.open(tmp_path / "a.tif") as dataset:
        dataset.stats(indexes=1)  # GDAL writes what it computed into the side file
    assert "STATISTICS_MEAN" in (tmp_path / "a.tif.aux.xml").read_text()
    assert read_categories(tmp_path / "a.tif")[0] == {0: "x", 1: "y"}
    write_map(tmp_path / "a.tif", source, ["new", "names"], overwrite=True)
    assert read_categories(tmp_path / "a.tif")[0] == {0: "new", 1: "names"}


def test_side_files_that_were_not_signed_yet_are_replaced_with_their_map(source, tmp_path):
    write_map(tmp_path / "a.tif", source, ["x", "y"])
    for name, text in zip(SIDES, (OLD_STYLE, OLD_NAMES), strict=True):
        (tmp_path / name).write_text(text)
    write_map(tmp_path / "a.tif", source, ["new", "names"], overwrite=True)
    assert read_categories(tmp_path / "a.tif")[0] == {0: "new", 1: "names"}
    assert "names" in (tmp_path / "a.qml").read_text()


def test_a_style_of_the_map_beside_is_not_replaced_by_that_of_its_polygons(
    source, tmp_path, caplog
):
    write_map(tmp_path / "a.tif", source, ["x", "y"])
    before = (tmp_path / "a.qml").read_bytes()
    for overwrite in (False, True):
        polygons = tmp_path / "a.gpkg"
        check_new_polygons(polygons, overwrite=overwrite)
        write_class_polygons(polygons, [tmp_path / "a.tif"], make_classes([0, 1]), PolygonOptions(),
                             overwrite=overwrite)  # fmt: skip
        assert (tmp_path / "a.qml").read_bytes() == before and polygons.is_file()
    assert "a.qml: kept" in caplog.text
    write_map(tmp_path / "a.tif", source, ["new", "names"], overwrite=True)
    assert (tmp_path / "a.qml").read_bytes() != before


def test_a_style_belongs_to_one_output_alone(source, tmp_path):
    write_map(tmp_path / "a.tif", source, ["x", "y"])
    before = (tmp_path / "a.qml").read_bytes()
    write_map(tmp_path / "a.tiff", source, ["new", "names"], overwrite=True)
    assert (tmp_path / "a.qml").read_bytes() == before
    ElementTree.fromstring(before)


def test_a_geopackage_that_is_open_elsewhere_is_not_replaced(tmp_path):
    (tmp_path / "p.gpkg-wal").touch()
    with pytest.raises(OutputError, match=r"p\.gpkg: is open in another program \(p\.gpkg-wal"):
        check_new_polygons(tmp_path / "p.gpkg", overwrite=True)


@pytest.mark.parametrize("extra", [None, "layer_styles"])
def test_a_geopackage_with_a_layer_of_others_is_theirs(source, tmp_path, extra):
    write_map(tmp_path / "a.tif", source, ["x", "y"])
    path = tmp_path / "p.gpkg"
    classes, options = make_classes([0, 1]), PolygonOptions()
    write_class_polygons(path, [tmp_path / "a.tif"], classes, options)
    if extra is None:
        write_class_polygons(path, [tmp_path / "a.tif"], classes, options, overwrite=True)
        return
    with rasterio.open(tmp_path / "a.tif") as dataset:  # QGIS: save the style in the database
        import geopandas
        import pandas as pd

        geopandas.GeoDataFrame(
            pd.DataFrame({"styleName": ["mine"]}), geometry=[None], crs=dataset.crs
        ).to_file(path, layer=extra)
    with pytest.raises(OutputError, match=r"no GeoPackage of polygons that ClusterNet wrote"):
        check_new_polygons(path, overwrite=True)


def test_overviews_of_an_earlier_map_are_kept_and_named(source, tmp_path, caplog):
    write_map(tmp_path / "a.tif", source, None)
    (tmp_path / "a.tif.ovr").write_text("of the earlier map")
    write_map(tmp_path / "a.tif", source, None, overwrite=True)
    assert (tmp_path / "a.tif.ovr").read_text() == "of the earlier map"
    assert "a.tif.ovr: kept" in caplog.text and "delete it" in caplog.text


def test_a_map_is_closed_by_the_thread_that_read_it_if_its_polygons_cannot_be_written(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []

    def found(*_: object, **__: object) -> Generator[Any, None, None]:
        try:
            yield SimpleNamespace(split=lambda _: [SimpleNamespace(geometries=(), classes=())])
        finally:
            closed.append(True)

    def refuse(*_: object, **__: object) -> None:
        raise OutputError("no room")

    monkeypatch.setattr(writing, "polygonise", found)
    monkeypatch.setattr(writing, "write_polygons", refuse)
    monkeypatch.setattr(writing, "_fields", lambda *_: {})
    class_map = write_raster("map.tif", np.ones((8, 8), np.uint8))
    with pytest.raises(OutputError, match="no room") as error:
        write_class_polygons(tmp_path / "out.gpkg", [class_map], {}, PolygonOptions())
    assert closed and error.tb is not None  # although the traceback still holds the frames
