"""The part of the panel that lists the classes with their areas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from clusternet.colours import as_hex
from clusternet.interactive.accuracy import headline
from clusternet.interactive.class_row import ClassRow
from clusternet.interactive.session import Session
from clusternet.labels.class_changes import move_class

if TYPE_CHECKING:
    from clusternet.interactive.page import Page


class ClassRows:
    """The classes of one page: a row for each, and a bar of their shares.

    Rows are changed in place, and neither moved nor removed while a person types a name in one of
    them: other pages change the classes, too.
    """

    def __init__(self, page: Page) -> None:
        """Build them into the panel."""
        self._page, self._workspace = page, page.workspace
        self._rows: dict[int, ClassRow] = {}
        self._dragged: int | None = None
        with ui.element("div").classes("section"):
            ui.html("<h2>Classes</h2>", sanitize=False)
            self._list = ui.element("div")
            ui.button("New class", icon="add", on_click=self.add_class).props(
                "flat dense no-caps color=grey-5"
            ).classes("q-mt-xs").mark("new-class")
            self._shares = ui.element("div").classes("share-bar")
            self._note = ui.label("").classes("facts q-mt-xs")
            self._accuracy = (
                ui.button("", icon="speed", on_click=lambda: page.accuracy.toggle())
                .props("flat dense no-caps align=left color=grey-4")
                .classes("wide q-mt-xs")
            )
            self._accuracy.mark("accuracy-button")

    async def add_class(self) -> None:
        """Add a class and choose it."""
        if await self._page.change(Session.add_class):
            await self._page.choose(self._workspace.drawing.classes[-1].number)

    async def move_chosen(self, step: int) -> None:
        """Move the chosen class by so many places, down if positive."""
        numbers = [c.number for c in self._workspace.drawing.classes]
        if self._page.chosen in numbers:
            await self._move(self._page.chosen, numbers.index(self._page.chosen) + step)

    async def _move(self, number: int, place: int) -> None:
        await self._page.change(lambda s: s.change_whole(lambda d: move_class(d, number, place)))

    def drag(self, number: int) -> None:
        """Remember which class is being dragged."""
        self._dragged = number

    async def drop(self, onto: int) -> None:
        """Put the class that was dragged at the place of another one."""
        numbers = [c.number for c in self._workspace.drawing.classes]
        dragged, self._dragged = self._dragged, None
        if dragged in numbers and onto in numbers and dragged is not None:
            await self._move(dragged, numbers.index(onto))

    def refresh(self) -> None:
        """Show the classes and areas of the workspace."""
        classes = self._workspace.drawing.classes
        is_typing = any(row.is_typing for row in self._rows.values())
        kept = {c.number for c in classes}
        for number in [] if is_typing else self._rows.keys() - kept:
            self._rows.pop(number).delete()
        for key, land_class in enumerate(classes, 1):
            row = self._rows.get(land_class.number)
            if row is None:
                with self._list:
                    row = self._rows[land_class.number] = ClassRow(self._page, land_class.number)
            row.show(key, land_class, land_class.number in self._workspace.hidden)
        if not is_typing:
            self._sort([c.number for c in classes])
        self._show_areas()
        known = headline(self._workspace.check)[0]
        self._accuracy.text = f"How good is it? {known} (Q)"

    def _sort(self, numbers: list[int]) -> None:
        if list(self._rows) == numbers:
            return
        self._rows = {number: self._rows[number] for number in numbers}
        for place, row in enumerate(self._rows.values()):
            row.move(place)

    def _show_areas(self) -> None:
        areas, pixel = self._workspace.areas, self._workspace.profile.pixel_area_ha
        total = sum(areas.counts.values())
        bars = []
        for land_class in self._workspace.drawing.classes:
            pixels = areas.counts.get(land_class.number, 0)
            share = pixels / max(total, 1)
            text = f"{share:.1%}" if total else ""
            if total and pixel is not None:
                text = f"{pixels * pixel:,.2f} ha<br><small>{share:.1%}</small>"
            self._rows[land_class.number].show_size(text)
            bars.append((as_hex(land_class.colour), share))
        self._shares.clear()
        with self._shares:
            for colour, share in bars:
                ui.element("div").style(f"width:{share:.2%};background:{colour}")
        self._note.text = "" if areas.is_exact else "Areas are estimates; exact ones follow."
