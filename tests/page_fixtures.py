"""One browser and one server for all tests of the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from interactive_scene import fill_cache_with_colours, make_run, make_scene


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from browser_page import running_browser  # here: it needs selenium

    folders = (tmp_path_factory.mktemp(name) for name in ("profile", "downloads"))
    with running_browser(*folders) as driver:
        yield driver


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a run folder and a raster whose features are there."""
    folder = tmp_path_factory.mktemp("interactive")
    raster, run = make_scene(folder), make_run(folder)
    fill_cache_with_colours(run, raster)
    return run, raster


@pytest.fixture(scope="session")
def server(scene: tuple[Path, Path]) -> Iterator[Any]:
    from browser_page import Server

    running = Server(*scene)
    yield running
    running.stop()


@pytest.fixture
def page(browser: Any, server: Any, scene: tuple[Path, Path]) -> Iterator[Any]:
    """An open page without strokes."""
    from browser_page import Page, webdriver

    opened = Page(browser, server, next((scene[0] / "interactive").iterdir()))
    yield opened
    for _ in range(200):
        if not opened.can_press("undo"):  # classes and names, too
            break
        opened.key(webdriver.Keys.CONTROL + "z" + webdriver.Keys.NULL)
        time.sleep(0.1)  # the page may need longer; then it is asked once too often
    if opened.strokes():  # of another tab
        opened.press("delete_sweep")
        opened.until(lambda: not opened.strokes())
    browser.get("about:blank")
