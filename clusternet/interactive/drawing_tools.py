"""What a page does with the shapes that its tools send: draw, erase, flood, pick, move, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import shapely
from nicegui import run
from nicegui.events import GenericEventArguments

from clusternet.errors import LabelError
from clusternet.interactive.superpixels import View, flood
from clusternet.labels.strokes import Stroke, make_area, make_line
from clusternet.windows import Window

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

_MAKERS = {"line": make_line, "area": make_area}


class DrawingTools:
    """The tools of one page, and the stroke that is picked on it."""

    def __init__(self, page: Page) -> None:
        """Listen to the map of a page."""
        self._page, self._workspace = page, page.workspace
        self._shown: dict[int, Stroke] = {}
        self._keys = count(1)
        self._turn = asyncio.Lock()  # one thing after another, in the order in which they came
        self.picked: Stroke | None = None
        """The stroke that is picked; None if there is none."""
        for event, answer in (
            ("stroke", self._draw), ("flood", self._flood), ("move", self._move),
        ):  # fmt: skip
            page.map.on(event, self._timed(answer))
        page.map.on("pick", self._pick)

    def show(self, strokes: Sequence[Stroke]) -> tuple[list[int], int | None]:
        """Note the strokes that the map shows.

        Returns:
            a key for each, by which the map names it: other pages may add and remove strokes
            before a message of the map arrives. And which of them is picked.
        """
        known = {id(stroke): key for key, stroke in self._shown.items()}
        keys = [known.get(id(stroke)) or next(self._keys) for stroke in strokes]
        self._shown = dict(zip(keys, strokes, strict=True))
        numbers = [i for i, stroke in enumerate(strokes) if stroke is self.picked]
        if not numbers:
            self.picked = None
        return keys, numbers[0] if numbers else None

    # --- the stroke that is picked ---------------------------------------------------------------
    async def give_class(self, number: int) -> None:
        """Give the picked stroke another class."""
        await self._change_picked(lambda stroke: replace(stroke, land_class=number))

    async def delete(self) -> None:
        """Delete the picked stroke."""
        await self._change_picked(lambda stroke: None)

    async def _change_picked(self, change: Callable[[Stroke], Stroke | None]) -> None:
        if self.picked is None:
            return  # at once: a class is chosen while superpixels are being computed
        async with self._turn:
            if self.picked is not None:
                await self._put(change(self.picked))

    def step(self, by: int) -> None:
        """Pick the next stroke, or the one before."""
        if not self._shown:
            self._page.say("There is no stroke to pick.")
            return
        strokes = list(self._shown.values())
        at = next((i for i, stroke in enumerate(strokes) if stroke is self.picked), None)
        number = (at + by if at is not None else min(0, by)) % len(strokes)
        self._page.use(tool="pick")
        self._choose(strokes[number])
        self._page.map.run_method("showStroke", number)

    def let_go(self) -> None:
        """Pick no stroke any more."""
        if self.picked is not None:
            self._choose(None)

    def _choose(self, stroke: Stroke | None) -> None:
        self.picked = stroke
        self._page.show_strokes_again()

    async def _put(self, new: Stroke | None) -> None:
        old, self.picked = self.picked, new
        if old is None:
            return
        if new is not None:  # it keeps its key: the next message may be on its way
            self._shown = {key: new if each is old else each for key, each in self._shown.items()}
        if not await self._page.change(lambda session: session.change_stroke(old, new)):
            self._choose(None)  # another page may have changed it

    # --- events of the map -----------------------------------------------------------------------
    def _timed(self, answer: Callable[[Any], Any]) -> Callable[[GenericEventArguments], Any]:
        """Return a handler after which no time is shown if no new map followed."""

        async def handle(event: GenericEventArguments) -> None:
            page, before = self._page, self._workspace.map_revision
            async with self._turn:
                with page.telling():
                    await answer(event.args)
            if before == self._workspace.map_revision or not page.show_classes:
                page.map.run_method("forgetStroke")  # no new map will show how long it took
                page.timing.text = ""

        return handle

    async def _draw(self, sent: dict[str, Any]) -> None:
        with _understanding():
            geometry, width = _MAKERS[sent["shape"]](sent["points"]), float(sent["width"])
            erases = bool(sent["erase"])
        if erases:
            await self._page.change(lambda session: session.rub_out(Stroke(geometry, 0, width)))
            return
        await self._add(self._mark(Stroke(geometry, self._page.chosen, width)))

    def _mark(self, stroke: Stroke) -> Stroke:
        """Return a new stroke as one of this scene, held back if the page draws checks."""
        return replace(stroke, is_check=self._page.draws_checks, scene=self._workspace.tag)

    async def _add(self, stroke: Stroke) -> None:
        if not self._workspace.drawing.classes:
            self._page.say("There is no class to draw; add one first (N).", "warning")
        elif self._lies_on_scene(stroke):
            await self._page.change(lambda session: session.draw(stroke))

    def _lies_on_scene(self, stroke: Stroke) -> bool:
        rows, cols = self._workspace.profile.shape
        if stroke.touches(shapely.box(0, 0, cols, rows)):
            return True
        self._page.say("That stroke lies outside the scene.", "warning")
        return False

    async def _flood(self, sent: dict[str, Any]) -> None:
        page, shape = self._page, self._workspace.profile.shape
        with _understanding():
            window = Window(*(int(sent[name]) for name in ("row", "col", "height", "width")))
            view = View.shown(window, int(sent["step"]), shape)
            points = sent["points"]
            make_line(points)  # checks them

        def outline() -> shapely.Geometry:
            labels = page.images.superpixels(view, page.look)
            return flood(view, labels, points)

        number, is_check = page.chosen, page.draws_checks
        area = await run.io_bound(outline)
        await self._add(replace(self._mark(Stroke(area, number)), is_check=is_check))

    def _pick(self, event: GenericEventArguments) -> None:
        with self._page.telling():
            self.picked = self._named(event.args)
        self._page.toolbar.refresh()

    def _named(self, sent: dict[str, Any]) -> Stroke | None:
        """Return the stroke that the map names; None for none, or one that is gone."""
        with _understanding():
            key = sent["key"]
        return self._shown.get(key) if isinstance(key, int) else None

    async def _move(self, sent: dict[str, Any]) -> None:
        with _understanding():
            rows, cols = float(sent["rows"]), float(sent["cols"])
        stroke = self._named(sent)
        if stroke is None:
            self._page.show_strokes_again()
            raise LabelError("That stroke is not there any more: another page has changed it.")
        moved = stroke.moved(rows, cols)
        self.picked = stroke
        if self._lies_on_scene(moved):
            await self._put(moved)
        else:
            self._page.show_strokes_again()


@contextmanager
def _understanding() -> Iterator[None]:
    """Read what a page has sent; the server also gets messages of other programs."""
    try:
        yield
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise LabelError("That was no stroke.") from error
