"""The page as a person uses it, in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pyogrio
import pytest
import random_run
import rasterio
from browser_page import GREEN, YELLOW, Page, Server, draw_two_classes, needs_browser, webdriver
from interactive_scene import SHAPE, truth

pytestmark = needs_browser


def test_two_strokes_give_a_map_undo_takes_one_back_and_export_writes_it(page: Page) -> None:
    draw_two_classes(page)
    assert page.colour_at(50, 60) == GREEN
    assert page.colour_at(300, 100) == YELLOW
    assert page.colour_at(50, SHAPE[0] - 5)[3] == 0  # nodata
    page.until(lambda: " ha" in page.text())

    version = page.version()
    page.key(webdriver.Keys.CONTROL + "z")
    page.until(lambda: page.strokes() == 1 and page.version() != version)
    assert page.colour_at(300, 100) == GREEN
    page.key(webdriver.Keys.CONTROL + "y")
    page.until(lambda: page.strokes() == 2)

    page.export()
    exported = page.folder / "exports" / "scene_classes.tif"
    page.until(exported.exists)
    with rasterio.open(exported) as dataset:
        classes = dataset.read(1)
        assert dataset.crs.to_epsg() == 32631 and dataset.nodata == 255
        assert dataset.transform.c == 448_000
    quarter = truth()
    assert (classes[:-10][quarter[:-10] == 0] == 1).mean() > 0.99
    assert (classes[:-10][quarter[:-10] == 1] == 2).mean() > 0.99
    assert (classes[-10:] == 255).all()
    problems = [entry["message"] for entry in page.driver.get_log("browser")
                if entry["level"] == "SEVERE"]  # fmt: skip
    assert not problems


def test_nothing_is_lost_by_a_reload_and_all_is_saved(page: Page) -> None:
    draw_two_classes(page)
    page.open()
    page.until(lambda: page.strokes() == 2)
    assert page.colour_at(300, 100) == YELLOW
    saved = page.folder / "strokes.gpkg"
    page.until(lambda: saved.exists() and len(pyogrio.read_dataframe(saved)) == 2)


def test_two_open_pages_show_the_same(page: Page) -> None:
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    try:
        page.open()
        draw_two_classes(page)
        page.driver.switch_to.window(first)
        page.until(lambda: page.strokes() == 2)
        assert page.colour_at(300, 100) == YELLOW
        # each tab takes back its own strokes
        page.draw((20, 150), (80, 200))
        page.until(lambda: page.strokes() == 3)
        page.driver.switch_to.window(page.driver.window_handles[1])
        page.until(lambda: page.strokes() == 3)
        page.key(webdriver.Keys.CONTROL + "z")
        page.until(lambda: page.strokes() == 2 and page.colour_at(300, 100) == GREEN)
        page.driver.switch_to.window(first)
        page.select("Smoothing", "none")
        page.driver.switch_to.window(page.driver.window_handles[1])
        smoothing = (
            "return [...document.querySelectorAll('.labelled')].map(each => each.innerText)"
            ".find(text => text.startsWith('Smoothing'))"
        )
        page.until(lambda: "none" in page.script(smoothing))
        page.select("Smoothing", "9 px")
    finally:
        for handle in page.driver.window_handles:
            if handle != first:
                page.driver.switch_to.window(handle)
                page.driver.close()
        page.driver.switch_to.window(first)


def test_eraser_removes_a_stroke_and_its_class_leaves_the_map(page: Page) -> None:
    draw_two_classes(page)
    for _ in range(12):
        page.key("]")
    page.key("e")
    page.until(lambda: page.script("return clusternet.shown.tool") == "erase")
    page.draw((195, 15), (230, 40), (265, 65))
    page.until(lambda: page.strokes() == 1)
    assert page.colour_at(300, 100) == GREEN


def test_all_strokes_can_be_removed_and_brought_back(page: Page) -> None:
    draw_two_classes(page)
    page.press("delete_sweep")
    page.until(lambda: page.strokes() == 0 and page.version() is None)
    page.key(webdriver.Keys.CONTROL + "z")
    page.until(lambda: page.strokes() == 2)


def test_hidden_class_is_transparent_and_page_asks_nobody_else(page: Page) -> None:
    draw_two_classes(page)
    version = page.version()
    page.press_eye(1)
    page.until(lambda: page.version() != version)
    assert page.colour_at(300, 100)[3] == 0
    assert page.colour_at(50, 60) == GREEN
    page.press_eye(1)
    page.until(lambda: page.colour_at(300, 100) == YELLOW)
    asked = page.script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert asked and all(name.startswith((page.server.url, "data:")) for name in asked)


def test_only_requests_for_this_address_are_answered(page: Page) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(page.server.url, headers={"Host": "elsewhere.example"}))
    with refused.value as answer:  # closes the connection
        assert answer.code == 403
    with urlopen(f"{page.server.url}/etc/passwd") as answer:  # the page itself, whatever the path
        assert b"root:" not in answer.read()


def test_map_changes_at_once(page: Page) -> None:
    draw_two_classes(page)
    page.draw((20, 150), (80, 200))
    milliseconds = page.until(lambda: page.script("return clusternet.lastUpdate ?? 0"))
    assert 0 < milliseconds < 5000  # a machine under load; docs/interactive.md has the figure
    assert np.isfinite(milliseconds)


@pytest.fixture(scope="module")
def spectral(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a run folder and a raster of 5 bands of 16 bits, whose features are missing."""
    folder = tmp_path_factory.mktemp("spectral")
    rng, (rows, cols) = np.random.default_rng(0), (1100, 1500)
    slope = np.linspace(0, 1, cols)[None] + np.linspace(0, 1, rows)[:, None]
    place = dict(crs="EPSG:32631", transform=rasterio.Affine(1, 0, 448_000, 0, -1, 5_412_000))
    with rasterio.open(
        folder / "spectral.tif", "w", driver="GTiff", dtype="uint16", count=5, height=rows,
        width=cols, photometric="minisblack", **place,
    ) as dataset:  # fmt: skip
        for band in range(1, 6):
            rise = slope if band < 4 else slope.max() - slope
            noise = rng.normal(0, 30, (rows, cols))
            dataset.write((rise * 600 * band + 900 + noise).astype(np.uint16), band)
    run = random_run.make_run(folder / "run", num_bands=5, dtype="uint16")
    return run, folder / "spectral.tif"


def test_sixteen_bits_are_stretched_bands_chosen_and_progress_shown(
    browser: Any, spectral: tuple[Path, Path]
) -> None:
    server = Server(*spectral)
    try:
        page = Page(browser, server, next((spectral[0] / "interactive").iterdir()))
        done = next(spectral[0].glob("interactive/*/done.npy"))
        # on a busy machine features may be there before the browser is
        page.until(lambda: "Computing features, once:" in page.text() or np.load(done).all())

        first = page.tile("image", 2, 2)[..., :3]
        assert 20 < first.mean() < 235 and first.std() > 10  # neither black nor white
        page.select("Red", "band 5")
        page.until(lambda: "bands=5,2,3" in page.script("return clusternet.tiles.image.url"))
        second = page.tile("image", 2, 2)[..., :3]
        assert (second[..., 0] != first[..., 0]).mean() > 0.9
        np.testing.assert_array_equal(second[..., 1:], first[..., 1:])
        page.select("Stretch", "5 to 95")
        page.until(lambda: "low=5.0" in page.script("return clusternet.tiles.image.url"))
        assert (page.tile("image", 2, 2)[..., 1] != second[..., 1]).mean() > 0.5

        page.until(lambda: "Computing features" not in page.text(), 60)
        page.draw((100, 100), (500, 400))
        assert page.colour_at(750, 500) == GREEN
        browser.get("about:blank")
    finally:
        server.stop()


def test_long_scribble_arrives(page: Page) -> None:
    page.draw((20, 20), (60, 40))
    page.script("""
        const page = clusternet, points = [];
        for (let i = 0; i < 30000; i++) {
          points.push({ lng: 60 + 40 * Math.sin(i / 60), lat: 60 + 40 * Math.sin(i / 47) });
        }
        page.points = points;
        page.line = page.drawn.getLayers()[0];
        page.penLift({ clientX: 300, clientY: 300 });
    """)
    page.until(lambda: page.strokes() == 2)


def test_layer_switched_off_while_it_loads_leaves_nothing_behind(page: Page) -> None:
    page.draw((20, 20), (60, 40))
    left = page.script("""
        const show = (version) =>
          clusternet.show("classes", version && `/classes/{z}/{x}/{y}.png?${version}`, 1);
        ["a", "b", null].forEach(show);
        let left = 0;
        clusternet.map.eachLayer((layer) => (left += layer.options.className === "tiles-classes"));
        return left;
    """)
    assert left == 0


def test_each_new_tile_takes_the_place_of_the_old_one_at_once(page: Page) -> None:
    page.draw((20, 20), (60, 40))
    page.until(lambda: page.script("return clusternet.tiles.classes.stale.length") == 0)
    state = page.driver.execute_async_script("""
        const done = arguments[0], { layer, url } = clusternet.tiles.classes;
        clusternet.show("classes", `${url}-again`, 1);
        clusternet.tiles.classes.layer.once("tileload", ({ coords }) => {
          done(layer._tiles[layer._tileCoordsToKey(coords)].el.style.visibility);
        });
    """)
    assert state == "hidden"


def test_maps_that_follow_each_other_quickly_leave_only_the_last_one_in_sight(page: Page) -> None:
    page.draw((20, 20), (60, 40))
    page.script("""
        const { url } = clusternet.tiles.classes;
        ["a", "b", "c", "d"].forEach((name, i) =>
          setTimeout(() => clusternet.show("classes", `${url}-${name}`, 0.5), 15 * i));
    """)
    page.until(lambda: page.version().endswith("-d"))
    page.until(lambda: page.script("return clusternet.tiles.classes.stale.length") == 0)
    shown = page.script("""
        const tiles = [...document.querySelectorAll(".tiles-classes .leaflet-tile")];
        const layers = document.querySelectorAll(".tiles-classes").length;
        return [layers, tiles.length,
                tiles.filter((tile) => getComputedStyle(tile).visibility === "visible").length];
    """)
    assert shown[0] == 1 and shown[1] == shown[2] > 0


def test_keys_work_after_a_list_was_used_and_not_behind_a_dialog(page: Page) -> None:
    def press(*keys: str) -> None:  # to what has the focus
        webdriver.ActionChains(page.driver).send_keys(*keys).perform()

    def has_tool(tool: str) -> bool:
        return page.script("return clusternet.shown.tool") == tool

    page.draw((20, 20), (60, 40))
    page.until(lambda: "updated in" in page.text())
    page.select("Smoothing", "9 px")
    press("e")
    page.until(lambda: has_tool("erase"))
    press("?")
    page.until(lambda: "choose a class" in page.text())
    press("n", "d")
    press(webdriver.Keys.ESCAPE)
    page.until(lambda: not page.script("return !!document.querySelector('.q-dialog')"))
    rows = "return document.querySelectorAll('.class-row').length"
    assert has_tool("erase") and page.script(rows) == 2

    x, y = page.place(250, 150)  # nothing lies there to be erased
    mouse = webdriver.ActionChains(page.driver, duration=30)
    canvas = page.driver.find_element("css selector", ".scene-map-canvas")
    middle = page.script("const s = clusternet.map.getSize(); return [s.x / 2, s.y / 2]")
    mouse.move_to_element_with_offset(canvas, round(x - middle[0]), round(y - middle[1]))
    mouse.click().perform()
    page.until(lambda: "updated in" not in page.text())
    assert page.script("return clusternet.penUp") is None
    press("d")
    page.until(lambda: has_tool("draw"))


def test_a_finger_draws_and_two_zoom(page: Page) -> None:
    page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        page.open()  # asks for touch when it begins
        page.touch([(20, 20)], [(40, 40)], [(90, 30)], [(110, 60)])
        page.until(lambda: page.strokes() == 1)
        assert page.script("return clusternet.strokes[0].parts[0].length") > 2
        zoom = page.script("return clusternet.map.getZoom()")
        page.touch(
            [(150, 100)], [(152, 102)], [(152, 102), (170, 120)], [(120, 70), (200, 150)],
            [(80, 30), (240, 190)],
        )  # fmt: skip
        page.until(lambda: page.script("return clusternet.map.getZoom()") > zoom)
        page.until(lambda: page.script("return !clusternet.map._animatingZoom"))
        page.script("clusternet.fit()")
        assert page.script("return clusternet.fingers.size") == 0
        page.touch([(60, 150)], [(90, 160)], [(120, 150)])  # comes after whatever a pinch leaves
        page.until(lambda: page.strokes() == 2)
    finally:
        page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
        page.open()


def test_toolbar_fits_a_small_window_beside_the_scene_whatever_a_class_is_called(
    page: Page,
) -> None:
    size = {"width": 1024, "height": 600, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.until(lambda: page.box(".stage")["width"] < 700)
        before, stage = page.box(".toolbar"), page.box(".stage")
        assert stage["left"] <= before["left"] and before["right"] <= stage["right"]
        assert before["height"] < 60  # one row
        name = page.driver.find_element("css selector", ".class-row input")
        name.send_keys(" with a name that goes on and on and on", webdriver.Keys.ENTER)
        shown = "return document.querySelector('.pen-class').innerText"
        page.until(lambda: "on and on" in page.script(shown))
        assert page.box(".toolbar") == before
        page.key(webdriver.Keys.CONTROL + "z")
        page.until(lambda: "on and on" not in page.script(shown))
        page.key("f")
        page.until(lambda: page.place(0, 0)[1] >= before["bottom"])
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
