"""What the page sends and says, without a browser."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import shapely
from interactive_scene import fill_cache_with_colours, make_run, make_scene

from clusternet.errors import LabelError, OutputError, SettingsError
from clusternet.interactive.served import Served
from clusternet.interactive.session import Session
from clusternet.labels.strokes import Drawing, Stroke

pytest.importorskip("nicegui", reason="pip install -e '.[interactive]' for the page")
pytest.importorskip("rio_tiler", reason="pip install -e '.[interactive]' for the page")

from clusternet.interactive import app, saving
from clusternet.interactive.access import free_port
from clusternet.interactive.file_controls import receive
from clusternet.interactive.heard import heard
from clusternet.interactive.page import Page
from clusternet.interactive.scene_map import shown_parts
from clusternet.interactive.workspace import Workspace


def test_holes_of_areas_are_shown():
    hole = [(2, 2), (2, 4), (4, 4), (4, 2), (2, 2)]
    area = shapely.Polygon([(0, 0), (9, 0), (9, 5), (0, 5), (0, 0)], [hole])
    outline, shown = shown_parts(area)[0]
    assert outline[1] == [0, 9]  # row, column
    assert shown == [[x, y] for y, x in hole]
    both = shapely.MultiPolygon([area, shapely.box(20, 20, 30, 30)])
    assert [len(rings) for rings in shown_parts(both)] == [2, 1]
    assert shown_parts(shapely.LineString([(1, 2), (3, 4.567)])) == [[[2, 1], [4.57, 3]]]


def test_page_that_was_closed_meanwhile_is_told_nothing():
    images = SimpleNamespace(first_look=lambda: None)
    page = Page(SimpleNamespace(drawing=Drawing(), revision=0, raster_path=Path("a.tif")), images)
    page.client = SimpleNamespace(is_deleted=True)  # with nothing to put a message on

    def fail() -> None:
        raise LabelError("no strokes")

    assert asyncio.run(page.attempt(fail)) is False
    page.refresh()


def test_server_that_has_ended_leaves_at_once_and_frees_the_scene(tmp_path, monkeypatch):
    """Python would take up to 8 seconds to tidy up what TensorFlow has made."""
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    fill_cache_with_colours(run, raster)
    monkeypatch.setattr(app, "_run_server", lambda *arguments: None)
    left = []
    monkeypatch.setattr(app.interrupts, "leave", left.append)
    app.serve(run, raster, app.PageOptions(port=0, browser=False))
    assert left == [0]
    Workspace(run, raster).stop()


def test_page_says_that_a_step_stays_which_another_page_has_changed_since():
    session = Session()
    session.owner = "a"
    session.draw(Stroke(shapely.Point(5, 5), 1))
    session.owner = "b"
    session.change_stroke(session.drawing.strokes[0], Stroke(shapely.Point(9, 9), 1))

    def change(step: Callable[[Session], object], owner: str) -> None:
        session.owner = owner
        step(session)

    images = SimpleNamespace(first_look=lambda: None)
    page = Page(SimpleNamespace(session=session, drawing=session.drawing, change=change), images)
    page.client, page.refresh = SimpleNamespace(tab_id="a"), lambda: None
    said: list[str] = []
    page.say = said.append
    asyncio.run(page.undo())
    assert said == ["Another page has changed that since, so it stays."]


def served_with_a_stroke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Serve a scene on which a stroke is drawn before the server is cut short."""
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    fill_cache_with_colours(run, raster)

    def draw(served: Served, *rest: object) -> None:
        stroke = Stroke(shapely.Point(30, 30), 1)
        served.workspaces[0].change(lambda session: session.draw(stroke))

    monkeypatch.setattr(app, "_run_server", draw)
    monkeypatch.setattr(app.interrupts, "leave", lambda status: None)
    app.serve(run, raster, app.PageOptions(port=0, browser=False))
    return next((run / "interactive").iterdir())


def test_strokes_are_saved_even_if_the_server_is_cut_short(tmp_path, monkeypatch):
    assert (served_with_a_stroke(tmp_path, monkeypatch) / "strokes.gpkg").exists()


def test_strokes_that_cannot_be_saved_with_the_scene_are_saved_elsewhere(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    save = saving.save_drawing

    def full(folder: Path, *more: Any) -> None:
        if folder.parent != temporary:
            raise OutputError("strokes.gpkg: cannot be written (No space left on device).")
        save(folder, *more)

    monkeypatch.setattr(saving, "save_drawing", full)
    told = (
        r"changes are not saved: strokes\.gpkg: cannot be .* They are in .*: move classes\.json and"
    )
    with pytest.raises(OutputError, match=told):
        served_with_a_stroke(tmp_path, monkeypatch)
    (folder,) = temporary.iterdir()
    assert {path.name for path in folder.iterdir()} == {"strokes.gpkg", "classes.json"}


def test_strokes_that_can_be_saved_nowhere_are_told_of(tmp_path, monkeypatch):
    def full(*arguments: object) -> None:
        raise OutputError("strokes.gpkg: cannot be written (No space left on device).")

    monkeypatch.setattr(saving, "save_drawing", full)
    with pytest.raises(OutputError, match=r"not saved: strokes\.gpkg: cannot .* nor elsewhere"):
        served_with_a_stroke(tmp_path, monkeypatch)


def test_port_that_was_taken_while_scenes_were_opened_is_told_before_an_address_is(
    tmp_path, monkeypatch
):
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    fill_cache_with_colours(run, raster)
    load, announced = app._served, []
    with socket.socket() as other:

        def take_the_port(*given: object) -> Served:
            other.bind(("127.0.0.1", port))
            other.listen()
            return load(*given)

        monkeypatch.setattr(app, "_served", take_the_port)
        port = free_port("127.0.0.1", 0)
        options = app.PageOptions(port=port, browser=False)
        with pytest.raises(SettingsError, match=f"--port {port}: cannot be used"):
            app.serve(run, raster, options, announce=announced.append)
    assert not announced


def test_warnings_of_other_threads_are_not_heard():
    log = logging.getLogger("clusternet.labels")
    with heard() as said:
        log.warning("mine")
        thread = threading.Thread(target=log.warning, args=["of another page"])
        thread.start()
        thread.join()
    assert said == ["mine"]


class Sent:
    """A file that a browser has sent."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.file = SimpleNamespace(name=name, save=self.save)
        self.sender = SimpleNamespace(reset=lambda: self.resets.append(True))
        self.resets: list[bool] = []
        self._error = error

    async def save(self, path: Path) -> None:
        if self._error is not None:
            raise self._error
        path.write_bytes(b"sent")


def page_that_says(said: list[str]) -> Page:
    images = SimpleNamespace(first_look=lambda: None)
    page = Page(SimpleNamespace(drawing=Drawing(), raster_path=Path("a.tif")), images)
    page.client, page.say = (
        SimpleNamespace(is_deleted=False),
        lambda text, kind="": said.append(text),
    )
    return page


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("../a.gpkg", None, []),
        ("a\nb\0.GPKG", None, []),
        ("a.exe", None, ["refused"]),
        ("gpkg", None, ["refused"]),
        ("a.gpkg", OSError(28, "No space left on device"), ["No space left"]),
    ],
)
def test_a_file_that_was_sent_is_used_or_told_of_and_the_next_one_taken(name, error, told):
    said: list[str] = []
    used: list[bytes] = []
    sent = Sent(name, error)

    async def use(path: Path) -> bool:
        used.append(path.read_bytes())
        return True

    page = page_that_says(said)
    taken = asyncio.run(receive(page, sent, (".gpkg",), use, lambda: said.append("refused")))
    assert taken is bool(used) is (not told)
    assert [line.find(part) >= 0 for line, part in zip(said, told, strict=True)] == [True] * len(
        told
    )
    assert sent.resets == [True]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_limit_of_open_files_is_raised_for_many_scenes_as_far_as_allowed(monkeypatch):
    import resource

    limits = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: limits.append(pair))
    app._allow_files(1)
    assert limits[1:] == []
    app._allow_files(20)
    app._allow_files(500)
    assert limits[1:] == [(20 * 48 + 500, 4096), (4096, 4096)]
