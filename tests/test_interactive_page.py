"""The page in a real browser: Debian's chromium, driven by selenium."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
from conftest import ROOT
from interactive_scene import SHAPE, fill_cache_with_colours, make_run, make_scene, truth

pytest.importorskip("nicegui", reason="pip install -e '.[interactive]' for the page")
pytest.importorskip("rio_tiler", reason="pip install -e '.[interactive]' for the page")
webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium for the page")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium: apt-get install chromium chromium-driver"
)
SWITCHES = (
    "--headless=new", "--no-sandbox", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--disable-dev-shm-usage", "--no-proxy-server", "--window-size=1300,800",
)  # fmt: skip


class Server:
    """tools/interactive.py in a process of its own, on a free port of this machine."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [sys.executable, ROOT / "tools" / "interactive.py", *arguments, "--port", "0",
                   "--no-browser"]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        environment.pop("PYTEST_CURRENT_TEST", None)  # NiceGUI would take itself for a test
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), line
        self.url = line.split()[0]

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self.process.terminate()
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in SWITCHES:
        options.add_argument(switch)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    downloads = str(tmp_path_factory.mktemp("downloads"))  # not the person's own folder
    options.add_experimental_option("prefs", {"download.default_directory": downloads})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a run folder and a raster whose features are there."""
    folder = tmp_path_factory.mktemp("interactive")
    raster, run = make_scene(folder), make_run(folder)
    fill_cache_with_colours(run, raster)
    return run, raster


@pytest.fixture(scope="module")
def server(scene: tuple[Path, Path]) -> Iterator[Server]:
    running = Server(*scene)
    yield running
    running.stop()


@pytest.fixture
def page(browser: Any, server: Server, scene: tuple[Path, Path]) -> Iterator[Page]:
    """An open page without strokes."""
    opened = Page(browser, server, next((scene[0] / "interactive").iterdir()))
    yield opened
    while opened.strokes():
        before = opened.version()
        opened.key(webdriver.Keys.CONTROL + "z")
        opened.until(lambda: opened.version() != before)  # noqa: B023  (called at once)
    browser.get("about:blank")


class Page:
    """What a person does and sees."""

    def __init__(self, driver: Any, server: Server, folder: Path) -> None:
        self.driver, self.server, self.folder = driver, server, folder
        driver.get_log("browser")  # forgets what came before
        self.open()

    def open(self) -> None:
        self.driver.get(self.server.url)
        self.until(lambda: self.script("return !!window.clusternet?.tiles?.image"))
        self.until(lambda: self.script("return clusternet.map.getSize().x > 100"))

    def script(self, text: str) -> Any:
        return self.driver.execute_script(text)

    def until(self, condition: Callable[[], Any], seconds: float = 30) -> Any:
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.05)
        return found

    def draw(self, *points: tuple[float, float]) -> None:
        """Draw through (col, row) of the scene and wait for the map."""
        before = self.version()
        chain = webdriver.ActionChains(self.driver, duration=30)
        canvas = self.driver.find_element("css selector", ".scene-map-canvas")
        for number, (col, row) in enumerate(points):
            x, y = self.script(
                f"const p = clusternet.map.latLngToContainerPoint([{row}, {col}]);"
                "const s = clusternet.map.getSize(); return [p.x - s.x / 2, p.y - s.y / 2]"
            )
            chain.move_to_element_with_offset(canvas, round(x), round(y))
            if number == 0:
                chain.click_and_hold()
        chain.release().perform()
        self.until(lambda: self.version() != before)

    def key(self, *keys: str) -> None:
        self.driver.find_element("tag name", "body").send_keys(*keys)

    def version(self) -> str | None:
        return self.script("return clusternet.tiles.classes?.url ?? null")

    def strokes(self) -> int:
        return self.script("return clusternet.strokes.length")

    def colour_at(self, col: int, row: int) -> list[int]:
        """Return the RGBA that the class tiles show at a pixel of the scene."""
        return self.driver.execute_async_script(
            """
            const [col, row, done] = arguments, url = clusternet.tiles.classes.url;
            const zoom = clusternet.scene.max_zoom, image = new Image();
            image.onload = () => {
              const canvas = new OffscreenCanvas(256, 256), ink = canvas.getContext("2d");
              ink.drawImage(image, 0, 0);
              done([...ink.getImageData(col % 256, row % 256, 1, 1).data]);
            };
            image.src = url.replace("{z}", zoom).replace("{x}", Math.floor(col / 256))
              .replace("{y}", Math.floor(row / 256));
            """, col, row,
        )  # fmt: skip

    def press_eye(self, number: int) -> None:
        row = f"document.querySelectorAll('.class-row')[{number}]"
        self.script(f"{row}.querySelectorAll('button')[0].click()")


GREEN, YELLOW = [44, 160, 44, 255], [255, 187, 40, 255]


def draw_two_classes(page: Page) -> None:
    page.draw((20, 20), (60, 40), (100, 30))
    page.key("2")
    row = "document.querySelectorAll('.class-row')[1]"
    page.until(lambda: page.script(f"return {row}?.classList.contains('chosen')"))
    page.draw((200, 20), (260, 60))


def test_two_strokes_give_a_map_undo_takes_one_back_and_export_writes_it(page: Page) -> None:
    draw_two_classes(page)
    assert page.colour_at(50, 60) == GREEN
    assert page.colour_at(300, 100) == YELLOW
    assert page.colour_at(50, SHAPE[0] - 5)[3] == 0  # nodata
    page.until(lambda: " ha" in page.script("return document.body.innerText"))

    version = page.version()
    page.key(webdriver.Keys.CONTROL + "z")
    page.until(lambda: page.strokes() == 1 and page.version() != version)
    assert page.colour_at(300, 100) == GREEN
    page.key(webdriver.Keys.CONTROL + "y")
    page.until(lambda: page.strokes() == 2)

    page.driver.find_element("xpath", "//button[contains(., 'Class map')]").click()
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
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

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
