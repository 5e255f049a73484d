"""Tools and views of the page in a real browser: by mouse and by keys alone."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pyogrio
import pytest
from browser_page import GREEN, YELLOW, Page, Server, needs_browser, webdriver
from interactive_scene import fill_cache_with_colours, make_run, make_scene

pytestmark = needs_browser
K = webdriver.Keys
CHOSEN = "return document.querySelector('.pen-class').innerText"


def click(page: Page, *places: tuple[float, float]) -> None:
    """Click on pixels (col, row) of the scene, slowly enough to be no double clicks elsewhere."""
    canvas = page.driver.find_element("css selector", ".scene-map-canvas")
    box = page.box(".scene-map-canvas")
    for place in places:
        x, y = page.place(*place)
        middle = (box["left"] + box["right"]) / 2, (box["top"] + box["bottom"]) / 2
        chain = webdriver.ActionChains(page.driver, duration=20)
        chain.move_to_element_with_offset(canvas, round(x - middle[0]), round(y - middle[1]))
        chain.click().perform()


def use(page: Page, key: str, tool: str) -> None:
    page.key(key)
    page.until(lambda: page.script("return clusternet.shown.tool") == tool)


def kinds(page: Page) -> list[str]:
    """Return the geometry types that are saved, in order."""
    saved = page.folder / "strokes.gpkg"
    if not saved.exists():
        return []
    return pyogrio.read_dataframe(saved).geometry.geom_type.tolist()


def test_points_lines_areas_rectangles_and_superpixels_are_strokes_like_others(page: Page) -> None:
    use(page, "o", "point")
    click(page, (20, 20))
    page.until(lambda: page.strokes() == 1)
    use(page, "l", "line")
    click(page, (30, 30), (60, 50), (90, 30), (90, 30))  # the second click on a corner ends it
    page.until(lambda: page.strokes() == 2)
    page.key("2")
    page.until(lambda: page.script(CHOSEN) == "class 2")
    use(page, "a", "area")
    click(page, (200, 20), (260, 20), (230, 70))
    page.key(K.ENTER)
    page.until(lambda: page.strokes() == 3)
    use(page, "r", "rectangle")
    click(page, (280, 20), (300, 60))
    page.until(lambda: page.strokes() == 4)
    use(page, "x", "superpixel")
    page.until(lambda: page.script("return !!clusternet.outlines"))
    click(page, (250, 100))
    page.until(lambda: page.strokes() == 5)
    assert page.colour_at(50, 60) == GREEN and page.colour_at(300, 100) == YELLOW
    wanted = ["Point", "LineString", "Polygon", "Polygon", "Polygon"]
    page.until(lambda: kinds(page) == wanted)
    for left in range(4, -1, -1):
        page.key(K.CONTROL + "z")
        page.until(lambda: page.strokes() == left)  # noqa: B023  (called at once)


def test_stroke_is_picked_recoloured_moved_and_deleted_and_each_is_undone(page: Page) -> None:
    page.draw((20, 20), (100, 20))
    page.draw((40, 50), (40, 90))
    use(page, "m", "pick")
    click(page, (60, 20))
    page.until(lambda: page.script("return clusternet.picked") == 0)
    above = "getComputedStyle(clusternet.map.getPane('picked')).zIndex"
    below = "getComputedStyle(clusternet.map.getPane('strokes')).zIndex"
    assert page.script(f"return {above} > {below}")  # or the stroke would cover its own mark
    assert page.script("return clusternet.map.getPane('picked').querySelectorAll('path').length")
    page.key("2")
    colour = "return clusternet.strokes[0].colour"
    page.until(lambda: page.script(colour) == "#e69f00")
    assert page.script("return clusternet.picked") == 0  # and it is still picked
    x, y = page.place(60, 20)
    chain = webdriver.ActionChains(page.driver, duration=30)
    canvas = page.driver.find_element("css selector", ".scene-map-canvas")
    box = page.box(".scene-map-canvas")
    middle = (box["left"] + box["right"]) / 2, (box["top"] + box["bottom"]) / 2
    chain.move_to_element_with_offset(canvas, round(x - middle[0]), round(y - middle[1]))
    chain.click_and_hold().move_by_offset(0, 30).move_by_offset(0, 30).release().perform()
    row = "return clusternet.strokes[0]?.parts[0][0][0]"
    page.until(lambda: page.script(row) > 30)
    page.key(K.DELETE)
    page.until(lambda: page.strokes() == 1)
    page.key(K.CONTROL + "z")
    page.until(lambda: page.strokes() == 2)
    page.key(K.CONTROL + "z")
    page.until(lambda: page.script(row) == pytest.approx(20, abs=1))
    page.key(K.CONTROL + "z")
    page.until(lambda: page.script(colour) == "#009e73")


def test_all_tools_work_from_the_keyboard(page: Page) -> None:
    use(page, "d", "draw")
    page.key(K.ENTER)  # shows the crosshair
    page.key(*[K.ARROW_LEFT] * 10, *[K.ARROW_UP] * 8, K.ENTER, *[K.ARROW_RIGHT] * 3, K.ENTER)
    page.until(lambda: page.strokes() == 1)
    use(page, "a", "area")
    page.key(
        *[K.ARROW_DOWN] * 3, K.ENTER, *[K.ARROW_RIGHT] * 4, K.ENTER, *[K.ARROW_DOWN] * 3, K.ENTER
    )
    page.key(K.ENTER)  # on the same place: the end
    page.until(lambda: page.strokes() == 2)
    assert page.script("return clusternet.strokes[1].area")
    page.key(".")
    page.until(lambda: page.script("return clusternet.picked") == 0)
    col = "return clusternet.strokes[0].parts[0][0][1]"
    before, step = page.script(col), 4 / page.script("return clusternet.screenPixels()")
    page.key(*[K.ARROW_RIGHT] * 12)  # faster than maps are computed
    page.until(lambda: page.script(col) == pytest.approx(before + 12 * step, abs=0.05))
    assert "not there any more" not in page.text()
    page.key(K.DELETE)
    page.until(lambda: page.strokes() == 1)
    use(page, "l", "line")
    page.key(K.ENTER, K.ARROW_LEFT, K.ENTER, K.BACKSPACE)
    assert page.script("return clusternet.corners.length") == 1
    page.key(K.ESCAPE)
    assert page.script("return clusternet.corners") is None and page.strokes() == 1


def test_tiles_begin_and_end_between_pixels_of_the_screen_at_every_zoom(page: Page) -> None:
    sides = page.script("""
        const { map, tiles } = clusternet, found = [];
        for (let zoom = map.getMinZoom(); zoom < map.getMaxZoom(); zoom += 0.13) {
          map.setZoom(zoom, { animate: false });
          for (const { el, current } of Object.values(tiles.image.layer._tiles)) {
            const box = el.getBoundingClientRect();
            if (current) found.push([box.left, box.top, box.width]);
          }
        }
        return found;
    """)
    page.script("clusternet.fit()")
    assert len(sides) > 20
    away = np.abs(np.array(sides) - np.rint(sides))
    assert away.max() < 0.01


def test_image_is_compared_with_classes_by_a_divider_and_side_by_side(page: Page) -> None:
    page.draw((20, 20), (60, 40))
    clip = "return getComputedStyle(clusternet.map.getPane('classes')).clipPath"
    page.key("w")
    page.until(lambda: "polygon" in page.script(clip))
    at = page.script(clip)
    page.driver.switch_to.active_element.send_keys(K.ARROW_RIGHT)  # W has put the keys there
    page.until(lambda: page.script(clip) != at)
    page.key("v")
    page.until(lambda: page.script(clip) == "none")
    page.key("f")
    twin = "[...document.querySelectorAll('.twin .tiles-classes img')].some(e => e.complete)"
    page.until(lambda: page.script(f"return {twin}"))
    assert (
        page.script("return getComputedStyle(clusternet.map.getPane('classes')).display") == "none"
    )
    page.draw((20, 150), (60, 170))  # the wheel, the pen and the map follow one another
    apart = """
        const [a, b] = [clusternet.map, clusternet.twin];
        const place = a.getCenter();
        return a.latLngToContainerPoint(place).distanceTo(b.latLngToContainerPoint(place));
    """
    page.until(lambda: page.script(apart) <= 1.5)
    page.key("v")
    page.until(lambda: page.script("return !clusternet.twin"))
    page.script("clusternet.fit()")


def test_values_class_and_scale_are_shown_and_coordinates_found(page: Page) -> None:
    page.draw((20, 20), (60, 40))
    click_free = webdriver.ActionChains(page.driver)
    click_free.move_by_offset(3, 3).perform()
    page.until(
        lambda: "certain)" in page.script("return document.getElementById('values').innerText")
    )
    assert "class 1" in page.script("return document.getElementById('values').innerText")
    assert page.script("return document.querySelector('.leaflet-control-scale').innerText") in (
        "50 m", "30 m", "20 m",
    )  # fmt: skip
    page.key("g")
    place = page.until(
        lambda: page.driver.find_elements("css selector", ".ask input[aria-label='Two numbers']")
    )
    place[-1].send_keys("nowhere", K.ENTER)
    page.until(lambda: "Expected two numbers" in page.text())
    place[-1].send_keys(K.CONTROL + "a" + K.NULL, "448100 5411950", K.ENTER)
    page.until(lambda: "448100.0, 5411950.0" in page.text())
    centre = page.script("const c = clusternet.map.getCenter(); return [c.lng, c.lat]")
    assert centre == pytest.approx([200, 100], abs=20)
    page.until(lambda: not page.driver.find_elements("css selector", ".q-dialog__backdrop"))
    page.script("clusternet.fit()")


def test_theme_is_remembered_by_the_browser_and_pixels_are_sharp_or_smooth(page: Page) -> None:
    look = "getComputedStyle(document.querySelector('.tiles-image .leaflet-tile')).imageRendering"
    assert page.script(f"return {look}") == "pixelated"
    page.key("i")
    page.until(lambda: page.script(f"return {look}") == "auto")
    page.key("t")
    light = "return document.body.classList.contains('body--light')"
    page.until(lambda: page.script(light))
    page.open()
    page.until(lambda: page.script(light))
    page.key("t")
    page.until(lambda: not page.script(light))


class _Tiles(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012  (one server a test)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        picture = (
            b'<svg xmlns="http://www.w3.org/2000/svg" width="256" height="256">'
            b'<rect width="256" height="256" fill="red"/></svg>'
        )
        self.send_response(200)
        self.send_header("Content-Type", "image/svg+xml")
        self.end_headers()
        self.wfile.write(picture)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def test_map_service_is_asked_only_after_its_address_was_typed(page: Page) -> None:
    tiles = ThreadingHTTPServer(("127.0.0.1", 0), _Tiles)
    Thread(target=tiles.serve_forever, daemon=True).start()
    try:
        page.select("Backdrop", "map service")
        time.sleep(0.3)
        assert not _Tiles.asked
        field = page.driver.find_element("css selector", "input[placeholder^='https://server']")
        field.send_keys("ftp://nowhere", K.ENTER)
        page.until(lambda: "Expected an address such as" in page.text())
        field.send_keys(
            K.CONTROL + "a" + K.NULL,
            f"http://127.0.0.1:{tiles.server_port}/{{z}}/{{x}}/{{y}}.png",
            K.ENTER,
        )
        page.until(lambda: _Tiles.asked)
        zoom, col, row = (int(part.removesuffix(".png")) for part in _Tiles.asked[0][1:].split("/"))
        # 448080 E, 5411940 N of UTM zone 31 is 2.29 E, 48.858 N: Paris
        assert col / 2**zoom == pytest.approx((2.292 + 180) / 360, abs=2 / 2**zoom)
        assert row / 2**zoom == pytest.approx(0.34395, abs=2 / 2**zoom + 1e-4)
        shown = "return document.querySelectorAll('.tiles-service canvas').length"
        page.until(lambda: page.script(shown))
        page.key("b")
        page.until(lambda: not page.script(shown))
    finally:
        tiles.shutdown()
        tiles.server_close()
        page.open()


def test_colours_for_colour_blind_people(page: Page) -> None:
    page.draw((20, 20), (60, 40))
    page.press("Colours for colour-blind")
    page.until(lambda: page.colour_at(50, 60) == [0, 114, 178, 255])
    page.key(K.CONTROL + "z")
    page.until(lambda: page.colour_at(50, 60) == GREEN)


def test_every_letter_key_is_listed(page: Page) -> None:
    page.key("?")
    text = page.until(lambda: page.script("return document.querySelector('.shortcuts')?.innerText"))
    assert all(key in text for key in "ABCDEFGILMNOPRSTUVWX")
    page.key(K.ESCAPE)


def test_scenes_of_a_project_are_listed_drawn_on_in_turn_and_all_mapped(
    browser: Any, tmp_path: Path
) -> None:
    run = make_run(tmp_path)
    rasters = [make_scene(tmp_path, f"{name}.tif") for name in "ab"]
    for raster in rasters:
        fill_cache_with_colours(run, raster)
    server = Server(run, *rasters)
    try:
        page = Page(browser, server, tmp_path)
        page.draw((20, 20), (60, 40))
        page.key(K.PAGE_DOWN)
        page.until(lambda: "scene=1" in page.script("return clusternet?.tiles.image?.url ?? ''"))
        assert page.strokes() == 0
        page.until(lambda: page.version())  # learned from the stroke on the other scene
        assert page.colour_at(50, 60) == GREEN
        page.key("2")
        page.until(lambda: page.script(CHOSEN) == "class 2")
        page.draw((200, 20), (260, 60))
        assert page.colour_at(300, 100) == YELLOW and page.colour_at(50, 60) == GREEN
        shown = "return [...document.querySelectorAll('.scene-row img')].map(e => e.naturalWidth)"
        page.until(lambda: page.script(shown) == [256, 256])
        page.press("Class maps of all scenes")
        page.until(lambda: len(list(run.glob("interactive/*/exports/*_classes.tif"))) == 2)
        page.key(K.CONTROL + "z" + K.NULL)
        page.until(lambda: page.strokes() == 0)
        page.key(K.CONTROL + "z" + K.NULL)  # the stroke on the other scene
        page.until(lambda: page.version() is None)
        browser.get("about:blank")
    finally:
        server.stop()
