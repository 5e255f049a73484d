"""What the page sends and says, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import shapely
from interactive_scene import fill_cache_with_colours, make_run, make_scene

from clusternet.errors import LabelError, OutputError
from clusternet.interactive.served import Served
from clusternet.interactive.session import Session
from clusternet.labels.strokes import Drawing, Stroke

pytest.importorskip("nicegui", reason="pip install -e '.[interactive]' for the page")
pytest.importorskip("rio_tiler", reason="pip install -e '.[interactive]' for the page")

from clusternet.interactive import app, saving
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


def test_a_server_that_could_not_save_the_last_strokes_fails(tmp_path, monkeypatch):
    def full(*arguments: object) -> None:
        raise OutputError("strokes.gpkg: cannot be written (No space left on device).")

    monkeypatch.setattr(saving, "save_drawing", full)
    with pytest.raises(OutputError, match=r"changes are not saved: strokes\.gpkg: cannot"):
        served_with_a_stroke(tmp_path, monkeypatch)
