"""What the page does with the messages of its map, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from interactive_scene import fill_cache_with_colours, make_run, make_scene

from clusternet.errors import RasterError
from clusternet.labels.strokes import Stroke, make_line

pytest.importorskip("nicegui", reason="pip install -e '.[interactive]' for the page")
pytest.importorskip("rio_tiler", reason="pip install -e '.[interactive]' for the page")

from clusternet.interactive.drawing_tools import DrawingTools
from clusternet.interactive.page import Page
from clusternet.interactive.workspace import Workspace


class Map:
    """Keeps what the map is told, and what answers its messages."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self.strokes: list[dict[str, Any]] = []

    def on(self, event: str, answer: Callable[[Any], Any]) -> None:
        self.answers[event] = answer

    def run_method(self, name: str, *given: Any) -> None:
        if name == "setStrokes":
            self.strokes = given[0]

    async def send(self, event: str, **sent: Any) -> None:
        """Send a message as the browser does."""
        found = self.answers[event](SimpleNamespace(args=sent))
        if found is not None:
            await found


class OpenPage(Page):
    """A page whose map, strokes and messages are there, and nothing else."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, SimpleNamespace(first_look=lambda: None))
        self.client = SimpleNamespace(is_deleted=False, tab_id="a")
        self.map, self.timing = Map(), SimpleNamespace(text="")
        self.toolbar = SimpleNamespace(refresh=lambda: None)
        self.tools = DrawingTools(self)
        self.said: list[str] = []
        self.show_strokes_again()

    def refresh(self) -> None:
        self.show_strokes_again()

    def say(self, text: str, kind: str = "info") -> None:
        self.said.append(text)

    def rows(self) -> list[float]:
        """Return the first row of each stroke that the map shows."""
        return [stroke["parts"][0][0][0] for stroke in self.map.strokes]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[OpenPage]:
    """A page with strokes in rows 10, 20 and 30."""
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    fill_cache_with_colours(run, raster)
    workspace = Workspace(run, raster)
    for row in (10, 20, 30):
        workspace.change(lambda session, r=row: session.draw(Stroke(make_line([(9, r)]), 1)))
    yield OpenPage(workspace)
    workspace.stop()


def test_moves_that_come_faster_than_maps_are_added_up(page: OpenPage) -> None:
    async def hold_arrow() -> None:
        key = page.map.strokes[1]["key"]
        await asyncio.gather(*(page.map.send("move", key=key, rows=2, cols=0) for _ in range(5)))

    asyncio.run(hold_arrow())
    assert page.rows() == [10, 30, 30] and not page.said
    assert page.tools.picked is page.workspace.drawing.strokes[1]


def test_strokes_come_in_the_order_in_which_they_were_drawn(page: OpenPage) -> None:
    async def draw() -> None:
        await asyncio.gather(*(
            page.map.send("stroke", shape="line", points=[[5, row]], width=3, erase=False)
            for row in range(40, 60)
        ))  # fmt: skip

    asyncio.run(draw())
    assert page.rows() == [10, 20, 30, *range(40, 60)]


def test_a_message_means_the_stroke_that_its_page_showed(page: OpenPage) -> None:
    keys = [stroke["key"] for stroke in page.map.strokes]
    strokes = page.workspace.drawing.strokes
    page.workspace.change(lambda session: session.change_stroke(strokes[0], None), "b")
    asyncio.run(page.map.send("move", key=keys[2], rows=5, cols=0))
    assert page.rows() == [20, 35]
    asyncio.run(page.map.send("move", key=keys[0], rows=5, cols=0))
    assert page.rows() == [20, 35]
    assert page.said == ["That stroke is not there any more: another page has changed it."]


@pytest.mark.parametrize(
    "sent",
    [{}, {"key": 1}, {"key": [1], "rows": 1, "cols": 1}, {"key": -1, "rows": 1, "cols": 1},
     {"key": 1, "rows": "x", "cols": None}],
)  # fmt: skip
def test_moves_of_other_programs_change_nothing(page: OpenPage, sent: dict[str, Any]) -> None:
    asyncio.run(page.map.send("move", **sent))
    assert page.rows() == [10, 20, 30] and page.said[0].startswith("That ")


@pytest.mark.parametrize(
    "sent", [{}, {"shape": "disc", "points": [[1, 1]]}, {"shape": "line", "points": "no"},
             {"shape": "line", "points": [[1, 1]], "width": [], "erase": 0}],
)  # fmt: skip
def test_strokes_of_other_programs_change_nothing(page: OpenPage, sent: dict[str, Any]) -> None:
    asyncio.run(page.map.send("stroke", **sent))
    asyncio.run(page.map.send("flood", **sent))
    assert page.rows() == [10, 20, 30] and len(page.said) == 2
    assert not any("terminal" in line for line in page.said)


FLOOD = dict(row=0, col=0, height=90, width=90, step=1, points=[[5, 5]])


def test_a_raster_that_cannot_be_read_is_told_on_the_page(page: OpenPage) -> None:
    def fail(*given: object) -> None:
        raise RasterError("scene.tif: cannot be read.")

    page.images.superpixels = fail
    asyncio.run(page.map.send("flood", **FLOOD))
    assert page.said == ["scene.tif: cannot be read."]


def test_a_fault_of_ours_is_told_on_the_page_and_logged_by_the_server(page: OpenPage) -> None:
    page.images.superpixels = lambda *given: {}["no such key"]
    with pytest.raises(KeyError):
        asyncio.run(page.map.send("flood", **FLOOD))
    assert "a fault of ClusterNet; your strokes are kept" in page.said[0]


def test_picked_stroke_is_let_go_when_another_page_removes_it(page: OpenPage) -> None:
    asyncio.run(page.map.send("pick", key=page.map.strokes[1]["key"]))
    assert page.tools.picked is page.workspace.drawing.strokes[1]
    page.workspace.change(lambda session: session.clear(), "b")
    page.refresh()
    assert page.tools.picked is None
    asyncio.run(page.map.send("pick", key=None))
    assert page.tools.picked is None and not page.said


def test_a_class_that_another_page_has_removed_is_not_chosen(page: OpenPage) -> None:
    page.workspace.change(lambda session: session.remove_class(2), "b")
    asyncio.run(page.choose(2))
    assert page.chosen == 1
