"""The part of the panel that lists the classes with their areas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from clusternet.colours import as_hex, from_hex
from clusternet.interactive.accuracy import headline
from clusternet.interactive.session import Session
from clusternet.legend.land_classes import LandClass

if TYPE_CHECKING:
    from clusternet.interactive.page import Page


class ClassRows:
    """The classes of one page: a row for each, and a bar of their shares."""

    def __init__(self, page: Page) -> None:
        """Build them into the panel."""
        self._page, self._workspace = page, page.workspace
        self._shown: object = None
        self._sizes: dict[int, ui.html] = {}
        self._chosen: dict[int, ui.element] = {}
        with ui.element("div").classes("section"):
            ui.html("<h2>Classes</h2>", sanitize=False)
            self._rows = ui.element("div")
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

    def refresh(self) -> None:
        """Show the classes and areas of the workspace."""
        classes = self._workspace.drawing.classes
        shown = (classes, self._workspace.hidden)
        if shown != self._shown:
            self._shown = shown
            self._rows.clear()
            self._sizes, self._chosen = {}, {}
            with self._rows:
                for key, land_class in enumerate(classes, 1):
                    self._row(key, land_class)
        for number, row in self._chosen.items():
            # The rows are not built again: the user may be typing a name in one of them.
            chosen = number == self._page.chosen
            row.classes(add="chosen") if chosen else row.classes(remove="chosen")
        self._show_areas()
        known = headline(self._workspace.check)[0]
        self._accuracy.text = f"Accuracy: {known}. How good is it? (Q)"

    def _row(self, key: int, land_class: LandClass) -> None:
        number, hidden = land_class.number, land_class.number in self._workspace.hidden
        classes = "class-row" + " hidden-class" * hidden
        row = ui.element("div").classes(classes).mark(f"class-{number}")
        row.on("click", lambda: self._page.choose(number))
        self._chosen[number] = row
        with row:
            ui.label(str(key) if key < 10 else "").classes("key")
            with (
                ui.element("div").classes("swatch").style(f"background:{as_hex(land_class.colour)}")
            ):
                ui.color_picker(on_pick=lambda e: self._recolour(number, e.color))
            field = ui.input(value=land_class.name).props("dense borderless")
            # "change" comes once when typing ends; on_change would come with each letter
            field.on("change", lambda e, f=field: self._rename(number, str(f.value)))
            field.on("keydown.enter", js_handler="(e) => e.target.blur()")
            self._sizes[number] = ui.html("", sanitize=False).classes("class-size")
            self._icon("visibility_off" if hidden else "visibility", "Show on the map",
                       lambda: self._hide(number, not hidden))  # fmt: skip
            self._icon("close", "Remove this class and its strokes",
                       lambda: self._page.change(lambda s: s.remove_class(number)))  # fmt: skip

    def _icon(self, icon: str, text: str, action: Any) -> None:
        button = ui.button(icon=icon, color=None).props("flat dense round size=sm").tooltip(text)
        button.on("click.stop", action)  # .stop: the row below would be chosen as well

    async def _rename(self, number: int, name: str) -> None:
        if not await self._page.change(lambda s: s.change_class(number, name=name)):
            self._shown = None
            self.refresh()

    async def _recolour(self, number: int, text: str) -> None:
        colour = from_hex(text[:7])  # the picker may append the opacity
        if colour is not None:
            await self._page.change(lambda s: s.change_class(number, colour=colour))

    def _hide(self, number: int, hidden: bool) -> None:
        self._workspace.hide(number, hidden)
        self._page.refresh()

    def _show_areas(self) -> None:
        areas, pixel = self._workspace.areas, self._workspace.profile.pixel_area_ha
        total = sum(areas.counts.values())
        bars = []
        for land_class in self._workspace.drawing.classes:
            share = areas.counts.get(land_class.number, 0) / max(total, 1)
            size = self._sizes.get(land_class.number)
            if size is not None:
                text = f"{share:.1%}" if total else ""
                if total and pixel is not None:
                    hectares = areas.counts.get(land_class.number, 0) * pixel
                    text = f"{hectares:,.2f} ha<br><small>{share:.1%}</small>"
                size.content = text
            bars.append((as_hex(land_class.colour), share))
        self._shares.clear()
        with self._shares:
            for colour, share in bars:
                ui.element("div").style(f"width:{share:.2%};background:{colour}")
        self._note.text = "" if areas.is_exact else "Areas are estimates; exact ones follow."
