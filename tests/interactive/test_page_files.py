"""Files and classes on the page, in a browser."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
from browser_page import Page, draw_two_classes, needs_browser, webdriver
from interactive_scene import SHAPE

from clusternet.interactive.session import Session
from clusternet.labels.stroke_files import DrawingGrid, write_strokes
from clusternet.labels.strokes import Stroke, make_line
from clusternet.legend.legend import read_legend
from clusternet.raster import open_raster

pytestmark = needs_browser
KEYS = webdriver.Keys
NAMES = "return [...document.querySelectorAll('.class-row input')].map((e) => e.value)"


def undo(page: Page) -> None:
    page.until(lambda: not page.dialog())  # while one closes, keys do nothing behind it
    page.key(KEYS.CONTROL + "z")


def names(page: Page) -> list[str]:
    return page.script(NAMES)


def test_everything_is_exported_and_comes_in_one_archive(page: Page) -> None:
    draw_two_classes(page)
    page.until(lambda: " ha" in page.text())
    folder = page.folder / "exports"
    for path in folder.glob("*"):
        path.unlink()
    page.export("Certainty", "Polygons", "Table", "Legend", "Strokes", "Class list")
    archive = folder / "scene_export.zip"
    page.until(archive.exists)
    polygons = pyogrio.read_dataframe(folder / "scene_polygons.gpkg")
    assert set(polygons["class"]) == {1, 2} and polygons.crs.to_epsg() == 32631
    rows, cols = SHAPE
    assert polygons.area.sum() == pytest.approx((rows - 10) * cols / 4)  # all but nodata
    assert read_legend(folder / "scene_legend.csv").lookup()[:2].tolist() == [1, 2]
    strokes = pyogrio.read_dataframe(folder / "scene_strokes.gpkg")
    assert strokes["class"].tolist() == [1, 2] and (strokes["width"] > 0).all()
    assert 448_000 < strokes.total_bounds[0] < 448_020
    with rasterio.open(folder / "scene_certainty.tif") as dataset:
        assert dataset.shape == SHAPE and (dataset.read(1)[-10:] == 255).all()
    table = pd.read_csv(folder / "scene_table.csv")
    assert table["strokes"].tolist() == [1, 1] and table["pixels"].sum() == (rows - 10) * cols
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as opened:
        inside = set(opened.namelist())
    assert inside == {path.name for path in folder.iterdir()} - {archive.name}
    # the colours and names of classes in QGIS and GDAL
    assert {"scene_classes.qml", "scene_classes.tif.aux.xml", "scene_polygons.qml"} <= inside


def test_strokes_of_a_file_are_added_or_replace_the_others_and_undo_brings_these_back(
    page: Page, scene: tuple[Path, Path], tmp_path: Path
) -> None:
    draw_two_classes(page)
    drawn = Session()
    drawn.change_class(1, name="lake", colour=(10, 20, 250))
    drawn.draw(Stroke(make_line([(20, 150), (90, 200)]), 1, 4))
    with open_raster(scene[1]) as raster:
        write_strokes(tmp_path / "lake.gpkg", drawn.drawing, DrawingGrid.of(raster.profile))
    page.load(tmp_path / "lake.gpkg", replace=False)
    page.until(lambda: page.strokes() == 3)
    page.until(lambda: page.colour_at(50, 200) == [10, 20, 250, 255])
    assert page.colour_at(300, 100) == page.colour_at(300, 30)  # still the second class
    page.until(lambda: names(page) == ["class 1", "class 2", "lake"])
    undo(page)
    page.until(lambda: page.strokes() == 2)
    page.load(tmp_path / "lake.gpkg", replace=True)
    page.until(lambda: page.strokes() == 1)
    page.until(lambda: page.colour_at(50, 60) == [10, 20, 250, 255])
    undo(page)
    page.until(lambda: page.strokes() == 2)


def test_field_and_layer_are_chosen_on_the_page_whose_messages_name_no_flags(
    page: Page, tmp_path: Path
) -> None:
    draw_two_classes(page)
    path = tmp_path / "two.gpkg"
    line = shapely.LineString([(448_010, 5_411_930), (448_030, 5_411_920)])
    frame = geopandas.GeoDataFrame({"note": ["x"], "kind": ["pond"]}, geometry=[line], crs=32631)
    frame.to_file(path, layer="first")
    frame.assign(kind="lake").to_file(path, layer="second")
    page.load(path)
    page.await_dialog()
    page.select("Layer", "second")
    page.select("Field with the class", "kind")
    page.confirm()
    page.until(lambda: page.strokes() == 3)
    page.until(lambda: names(page)[-1] == "lake")
    undo(page)
    page.until(lambda: page.strokes() == 2)

    far = frame.assign(geometry=frame.geometry.translate(5000))
    pd.concat([far, frame]).to_file(tmp_path / "half.gpkg")
    far.to_file(tmp_path / "far.gpkg")
    page.load(tmp_path / "far.gpkg", replace=False)
    page.until(lambda: "far.gpkg: none of its 1 strokes lies on scene.tif." in page.text())
    page.load(tmp_path / "half.gpkg", replace=False)
    page.until(lambda: "half.gpkg: 1 of 2 strokes lie outside" in page.text())
    page.until(lambda: page.strokes() == 3)
    undo(page)  # or its class would stay
    page.until(lambda: names(page) == ["class 1", "class 2"])
    (tmp_path / "bad.geojson").write_text("no vectors")
    page.load(tmp_path / "bad.geojson")
    page.until(lambda: "bad.geojson: cannot be read as vectors" in page.text())
    assert str(tmp_path) not in page.text() and "--" not in page.text()


def test_dropped_files_are_loaded_and_others_refused(page: Page) -> None:
    drop = """
        const files = new DataTransfer();
        files.items.add(new File(["no vectors"], arguments[0]));
        const how = { bubbles: true, cancelable: true, dataTransfer: files };
        return document.body.dispatchEvent(new DragEvent("drop", how));
    """
    assert not page.driver.execute_script(drop, "photo.png")  # or the browser would show it
    page.until(lambda: "Choose one .gpkg or .geojson file" in page.text())
    assert not page.driver.execute_script(drop, "dropped.geojson")
    page.until(lambda: "dropped.geojson: cannot be read as vectors" in page.text())


def test_a_name_that_is_being_typed_outlasts_what_other_pages_do(page: Page) -> None:
    before, first = names(page), page.driver.current_window_handle
    # as on a machine of its own: the field keeps the cursor while the other page is used
    page.driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    page.driver.find_element("css selector", ".class-row input").click()
    page.type(KEYS.END, " wet")
    page.driver.switch_to.new_window("tab")
    try:
        page.open()
        assert names(page) == before  # nothing has ended the typing
        page.key("n")
        page.until(lambda: len(names(page)) == len(before) + 1)
        page.combo(KEYS.ALT, KEYS.ARROW_UP)
        page.until(lambda: names(page)[-1] == before[-1])
        page.driver.switch_to.window(first)
        page.until(lambda: len(names(page)) == len(before) + 1)
        assert names(page)[0] == f"{before[0]} wet"
        page.type(" meadow", KEYS.ENTER)
        page.driver.switch_to.window(page.driver.window_handles[-1])
        page.until(lambda: names(page)[0] == f"{before[0]} wet meadow")
        for _ in range(2):  # the order, the new class
            undo(page)
        page.until(lambda: len(names(page)) == len(before))
        page.driver.close()
    finally:
        page.driver.switch_to.window(first)
        page.driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": False})
    undo(page)
    page.until(lambda: names(page) == before)


def test_classes_are_put_into_another_order_and_merged_by_keys_and_by_dragging(page: Page) -> None:
    draw_two_classes(page)  # the second class is chosen
    page.combo(KEYS.ALT, KEYS.ARROW_UP)
    page.until(lambda: names(page) == ["class 2", "class 1"])
    page.script("""
        const rows = document.querySelectorAll(".class-row");
        const dataTransfer = new DataTransfer();
        const send = (target, type) => target.dispatchEvent(
          new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }));
        send(rows[0].querySelector(".key"), "dragstart");
        send(rows[1], "drop");
    """)
    page.until(lambda: names(page) == ["class 1", "class 2"])
    undo(page)
    page.until(lambda: names(page) == ["class 2", "class 1"])
    assert page.strokes() == 2
    page.key("h")
    page.await_dialog()
    page.press("Merge")  # the chosen class into the other one
    page.until(lambda: names(page) == ["class 1"] and not page.dialog())
    assert page.strokes() == 2
    undo(page)
    page.until(lambda: names(page) == ["class 2", "class 1"])
    undo(page)
    page.until(lambda: names(page) == ["class 1", "class 2"])


def test_a_list_of_classes_is_saved_and_loaded(page: Page, tmp_path: Path) -> None:
    draw_two_classes(page)
    page.key("h")
    page.await_dialog()
    page.press("Save list")
    saved = page.folder / "exports" / "scene_class_list.csv"
    page.until(saved.exists)
    assert saved.read_text().splitlines()[0] == "class,name,colour"
    (tmp_path / "mine.csv").write_text("class,name,colour\n2,road,#0a0b0c\n1,grass,#010203\n")
    uploads = page.driver.find_elements("css selector", ".dialog .q-uploader input")
    uploads[0].send_keys(str(tmp_path / "mine.csv"))
    page.until(lambda: names(page) == ["road", "grass"])
    page.until(lambda: page.colour_at(300, 100) == [10, 11, 12, 255])
    undo(page)
    page.until(lambda: names(page) == ["class 1", "class 2"])
    assert np.array_equal(page.strokes(), 2)
