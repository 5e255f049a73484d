"""The page in a real browser: Debian's chromium, driven by selenium."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from clusternet.interactive.session import first_classes

pytest.importorskip("nicegui", reason="pip install -e '.[interactive]' for the page")
pytest.importorskip("rio_tiler", reason="pip install -e '.[interactive]' for the page")
webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium for the page")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
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


@contextmanager
def running_browser(profile: Path, downloads: Path) -> Iterator[Any]:
    """Start chromium.

    Args:
        profile: an empty folder.
        downloads: where it puts files, not the person's own folder.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in SWITCHES:
        options.add_argument(switch)
    options.add_argument(f"--user-data-dir={profile}")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


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

    def place(self, col: float, row: float) -> tuple[float, float]:
        """Return where a pixel of the scene is in the window."""
        x, y = self.script(
            f"const p = clusternet.map.latLngToContainerPoint([{row}, {col}]);"
            "const box = clusternet.$el.getBoundingClientRect(); return [p.x + box.x, p.y + box.y]"
        )
        return x, y

    def touch(self, *moments: list[tuple[float, float]]) -> None:
        """Hold fingers on pixels (col, row) of the scene, moment by moment, and lift them."""
        places = [[self.place(*finger) for finger in moment] for moment in moments]
        for kind, fingers in zip(
            ["touchStart", *["touchMove"] * len(places)], places, strict=False
        ):
            points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(fingers)]
            command = {"type": kind, "touchPoints": points}
            self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", command)
        self.driver.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []}
        )

    def box(self, selector: str) -> dict[str, float]:
        """Return left, top, right, bottom, width of an element in the window."""
        return self.script(f"return document.querySelector('{selector}').getBoundingClientRect()")

    def key(self, *keys: str) -> None:
        self.driver.find_element("tag name", "body").send_keys(*keys)

    def version(self) -> str | None:
        return self.script("return clusternet.tiles.classes?.url ?? null")

    def strokes(self) -> int:
        return self.script("return clusternet.strokes.length")

    def colour_at(self, col: int, row: int) -> list[int]:
        """Return the RGBA that the class tiles show at a pixel of the scene."""
        tile = self.tile("classes", col // 256, row // 256)
        return tile[row % 256, col % 256].tolist()

    def tile(self, layer: str, col: int = 0, row: int = 0) -> np.ndarray:
        """Fetch a tile of a layer as it is shown now, at full size; (256, 256, 4)."""
        url = self.until(lambda: self.script(f"return clusternet.tiles.{layer}?.url"))
        zoom = self.script("return clusternet.scene.max_zoom")
        address = url.replace("{z}", str(zoom)).replace("{x}", str(col)).replace("{y}", str(row))
        with urlopen(self.server.url + address) as answer:
            return np.asarray(Image.open(answer).convert("RGBA"))

    def text(self) -> str:
        return self.script("return document.body.innerText")

    def select(self, label: str, option: str) -> None:
        """Choose from the list with a label."""
        box = (
            f"//*[contains(@class, 'q-field') and .//*[text()='{label}']] | "
            f"//*[text()='{label}']/following-sibling::*[contains(@class, 'q-field')]"
        )
        self.driver.find_element("xpath", box).click()
        item = f"//*[@role='option'][contains(., '{option}')]"
        self.until(lambda: self.driver.find_elements("xpath", item))[0].click()
        self.until(lambda: not self.driver.find_elements("xpath", "//*[@role='listbox']"))

    def press(self, text: str) -> None:
        """Press the button with a text."""
        self.driver.find_element("xpath", f"//button[contains(., '{text}')]").click()

    def can_press(self, text: str) -> bool:
        return self.driver.find_element("xpath", f"//button[contains(., '{text}')]").is_enabled()

    def load(self, path: Path, *, replace: bool | None = None) -> None:
        """Hand a file to the Load button, and answer whether its strokes replace the others."""
        self.driver.find_element("css selector", ".q-uploader input").send_keys(str(path))
        if replace is None:
            return
        self.await_dialog()
        if replace:
            # by a script: the dialog may still be growing
            self.script("document.querySelectorAll('.dialog [role=radio]')[1].click()")
        self.confirm()

    def combo(self, modifier: str, key: str) -> None:
        """Press a key with Ctrl or Alt."""
        chain = webdriver.ActionChains(self.driver)
        chain.key_down(modifier).send_keys(key).key_up(modifier).perform()

    def type(self, *keys: str) -> None:
        """Press keys where the focus is."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def dialog(self) -> bool:
        """Tell whether a dialog is open."""
        return self.script("return !!document.querySelector('.q-dialog .dialog')")

    def await_dialog(self) -> None:
        """Wait until a dialog is open and has ceased to grow."""
        self.until(self.dialog)
        self.until(lambda: not self.script(
            "return document.querySelector('[class*=-enter-active]')"))  # fmt: skip

    def export(self, *names: str) -> None:
        """Export the class map, and the files with these names."""
        self.combo(webdriver.Keys.CONTROL, "s")
        self.await_dialog()
        for name in names:
            self.script(
                "[...document.querySelectorAll('.dialog [role=checkbox]')]"
                f".find((box) => box.innerText.includes('{name}')).click()"
            )
        self.confirm()

    def confirm(self) -> None:
        """Press the main button of the dialog."""
        self.script("[...document.querySelectorAll('.dialog-buttons button')].at(-1).click()")
        self.until(lambda: not self.dialog())

    def press_eye(self, number: int) -> None:
        row = f"document.querySelectorAll('.class-row')[{number}]"
        self.script(f"{row}.querySelectorAll('button')[0].click()")


GREEN, YELLOW = ([*each.colour, 255] for each in first_classes())  # of the first two classes


def draw_two_classes(page: Page) -> None:
    page.draw((20, 20), (60, 40), (100, 30))
    page.key("2")
    row = "document.querySelectorAll('.class-row')[1]"
    page.until(lambda: page.script(f"return {row}?.classList.contains('chosen')"))
    page.draw((200, 20), (260, 60))
