"""What the server answers to addresses of tiles, also of other programs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from interactive_scene import fill_cache_with_colours, make_run, make_scene

from clusternet.errors import OutputError
from clusternet.labels.strokes import Stroke, make_line

pytest.importorskip("nicegui", reason="pip install -e '.[interactive]' for the page")
pytest.importorskip("rio_tiler", reason="pip install -e '.[interactive]' for the page")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from clusternet.interactive import served as served_module
from clusternet.interactive.served import Served
from clusternet.interactive.server import add_routes
from clusternet.interactive.tiles import ImageTiles
from clusternet.interactive.workspace import Workspace

LOOK = "?bands=1,2,3&low=0&high=100"
LONG = "9" * 5000


@contextmanager
def scene_in(folder: Path) -> Iterator[Workspace]:
    """Make a scene with a stroke in a folder, and open it."""
    raster, run = make_scene(folder), make_run(folder)
    fill_cache_with_colours(run, raster)
    opened = Workspace(run, raster)
    opened.change(lambda session: session.draw(Stroke(make_line([(30, 30), (60, 60)]), 1)))
    yield opened
    opened.stop()


def client_of(workspace: Workspace) -> TestClient:
    app = FastAPI()
    add_routes(app, Served([workspace], ImageTiles(workspace.raster_path)))
    return TestClient(app)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with scene_in(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """What answers for a scene that no test changes."""
    with scene_in(tmp_path_factory.mktemp("served")) as opened:
        yield client_of(opened)


@pytest.mark.parametrize(
    "address",
    ["image/0/0/0.png", "classes/0/0/0.png", "doubt/0/0/0.png", "thumbnail/0.png",
     "superpixels/0/0/100/100/1.png"],
)  # fmt: skip
def test_pictures_of_the_scene_are_answered(client: TestClient, address: str) -> None:
    assert client.get(f"/{address}{LOOK}").headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "address",
    [
        *(f"{kind}/{zoom}/0/0.png{LOOK}" for kind in ("image", "classes", "doubt")
          for zoom in (-1, 1, 99, 10**6, -(10**6))),
        f"image/0/{10**30}/0.png{LOOK}", f"image/0/0/-1.png{LOOK}",
        f"image/0/0/0.png?bands={LONG},2,3&low=0&high=100",
        "image/0/0/0.png?bands=1,2,9&low=0&high=100",
        "image/0/0/0.png?bands=1,2,3&low=nan&high=100",
        f"superpixels/0/0/-5/10/1.png{LOOK}", f"superpixels/0/0/9/9/{10**30}.png{LOOK}",
    ],
)  # fmt: skip
def test_what_does_not_lie_on_the_scene_is_no_picture(client: TestClient, address: str) -> None:
    assert client.get(f"/{address}").status_code == 204


def test_a_scene_that_is_none_is_the_first_one(client: TestClient) -> None:
    for scene in (LONG, "7", "-1", "x"):
        assert client.get("/values/30/30", params={"scene": scene}).json()["text"]


def test_a_raster_that_is_gone_is_told_in_one_line_however_many_tiles_are_asked_for(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(workspace)
    workspace.raster_path.unlink()
    for address in ("image/0/0/0.png", "superpixels/0/0/100/100/1.png", "values/3/3"):
        answer = client.get(f"/{address}{LOOK}")
        assert answer.status_code == 503 and "scene.tif" in answer.text
        assert answer.headers["cache-control"] == "no-store"
    assert len(caplog.messages) == 1


def test_a_scene_is_shown_while_another_one_is_prepared(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ImageTiles(workspace.raster_path)
    served = Served([workspace, workspace], first)
    begun, go_on = threading.Event(), threading.Event()

    def build(source: Path, folder: Path, stop: object) -> Path:
        begun.set()
        go_on.wait(20)
        return source

    monkeypatch.setattr(served_module, "build_pyramid", build)
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(served.images, 1) for _ in range(2)]
        begun.wait(20)
        assert not served.is_ready(1)
        try:
            with ThreadPoolExecutor(1) as another:
                assert another.submit(served.images, 0).result(timeout=5) is first
        finally:
            go_on.set()
        assert both[0].result() is both[1].result()
    assert served.is_ready(1)


def test_scenes_are_prepared_one_by_one_also_behind_one_that_cannot_be(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sources = iter([OutputError("view.vrt: cannot be written."), workspace.raster_path])

    def build(source: Path, folder: Path, stop: object) -> Path:
        found = next(sources)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(served_module, "build_pyramid", build)
    monkeypatch.setattr(workspace, "start", lambda: None)
    served = Served([workspace] * 3, ImageTiles(workspace.raster_path))
    served.start()
    end = time.monotonic() + 20
    while not served.is_ready(2):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    assert [served.is_ready(number) for number in range(3)] == [True, False, True]
    assert caplog.messages == ["view.vrt: cannot be written."]
