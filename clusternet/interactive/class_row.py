"""One class in the panel: its key, colour, name and area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from clusternet.colours import as_hex, from_hex
from clusternet.legend.land_classes import LandClass

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

# A browser drags only what has data, and a dragged class must not be taken for a dropped file.
_DRAG = """(event) => {
  event.dataTransfer.setData("text/x-class", "");
  event.dataTransfer.effectAllowed = "move";
  emit();
}"""


class ClassRow:
    """The row of one class on one page."""

    def __init__(self, page: Page, number: int) -> None:
        """Build it where the caller is."""
        self._page, self.number = page, number
        self._name = ""
        self.is_typing = False
        """True while a person has the cursor in its name."""
        self._row = ui.element("div").classes("class-row").mark(f"class-{number}")
        self._row.on("click", lambda: page.choose(number))
        self._row.on("dragover", js_handler="(event) => event.preventDefault()")
        self._row.on("drop.prevent", lambda: page.panel.classes.drop(number), args=[])
        with self._row:
            self._key = ui.label("").classes("key").props("draggable=true")
            self._key.tooltip("Drag to another place (Alt and arrow keys)")
            self._key.on("dragstart", lambda: page.panel.classes.drag(number), js_handler=_DRAG)
            with ui.element("div").classes("swatch") as self._swatch:
                ui.color_picker(on_pick=lambda e: self._recolour(e.color))
            self._field = ui.input().props("dense borderless")
            self._field.on("focus", lambda: self._type(True))
            self._field.on("blur", lambda: self._type(False))
            # "change" comes once when typing ends; on_change would come with each letter
            self._field.on("change", self._rename)
            self._field.on("keydown.enter", js_handler="(e) => e.target.blur()")
            self._size = ui.html("", sanitize=False).classes("class-size")
            self._eye = self._icon("visibility", "Show on the map", self._hide)
            self._icon("close", "Remove this class and its strokes",
                       lambda: page.change(lambda s: s.remove_class(number)))  # fmt: skip

    def _icon(self, icon: str, text: str, action: Any) -> ui.button:
        button = ui.button(icon=icon, color=None).props("flat dense round size=sm").tooltip(text)
        # .stop: the row below would be chosen as well
        return button.on("click.stop", action)

    def show(self, key: int, land_class: LandClass, is_hidden: bool) -> None:
        """Show the class as it is now; a name that is being typed is left alone."""
        self._key.text = str(key) if key < 10 else ""
        self._swatch.style(f"background: {as_hex(land_class.colour)}")
        self._name, self._is_hidden = land_class.name, is_hidden
        if not self.is_typing:
            self._field.value = land_class.name
        self._eye.props(f"icon=visibility{'_off' if is_hidden else ''}")
        _toggle(self._row, "hidden-class", is_hidden)
        _toggle(self._row, "chosen", self.number == self._page.chosen)

    def show_size(self, html: str) -> None:
        """Show the area."""
        self._size.content = html

    def move(self, place: int) -> None:
        """Move it to a place among the rows, from 0."""
        self._row.move(target_index=place)

    def delete(self) -> None:
        """Remove it from the page."""
        self._row.delete()

    def _type(self, starts: bool) -> None:
        self.is_typing = starts
        if not starts:
            self._page.panel.classes.refresh()

    async def _rename(self) -> None:
        name = str(self._field.value)
        await self._page.change(lambda s: s.change_class(self.number, name=name))

    async def _recolour(self, text: str) -> None:
        colour = from_hex(text[:7])  # the picker may append the opacity
        if colour is not None:
            await self._page.change(lambda s: s.change_class(self.number, colour=colour))

    def _hide(self) -> None:
        self._page.workspace.hide(self.number, not self._is_hidden)
        self._page.refresh()


def _toggle(element: ui.element, name: str, on: bool) -> None:
    element.classes(add=name) if on else element.classes(remove=name)
