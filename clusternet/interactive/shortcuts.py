"""The keys of the page: what each does, and the dialog that lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui
from nicegui.events import GenericEventArguments

from clusternet.interactive.session import Session

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

SHORTCUTS = {
    "1 ... 9": "choose a class", "N": "new class", "D / E / P": "draw, erase, move",
    "Space": "hold to move", "wheel": "zoom; right button moves", "[ / ]": "pen width",
    "Ctrl Z / Y": "undo, redo", "S": "where to draw next", "C": "hide and show classes",
    "U": "show where it is uncertain", "F": "whole scene",
    "Q": "how good is it?", "J": "draw more of the weakest class",
    "K": "draw strokes that are held back as a check", "?": "this list",
}  # fmt: skip
"""Keys as a person reads them, and what they do."""
_TOOLS = {"d": "draw", "e": "erase", "p": "pan"}


class Shortcuts:
    """The keys of one page."""

    def __init__(self, page: Page) -> None:
        """Build the dialog that lists them."""
        self._page = page
        with ui.dialog() as self.help, ui.card().style("padding: 20px 24px; overflow: visible"):
            ui.label("Shortcuts").classes("text-h6 q-mb-sm")
            with ui.element("div").classes("shortcuts"):
                for key, text in SHORTCUTS.items():
                    ui.html(f"<kbd>{key}</kbd>", sanitize=False)
                    ui.label(text)

    async def press(self, event: GenericEventArguments) -> None:
        """Do what a key says."""
        page, key = self._page, event.args["key"]
        classes = page.workspace.drawing.classes
        if event.args["command"]:
            back = key == "z" and not event.args["shift"]
            await page.change(Session.undo if back else Session.redo)
        elif key.isdigit():
            if 1 <= int(key) <= len(classes):
                page.choose(classes[int(key) - 1].number)
        elif key in _TOOLS:
            page.use(tool=_TOOLS[key])
        elif key in "[]":
            page.use(brush=page.brush + (3 if key == "]" else -3))
        elif key == "c":
            page.panel.layers.classes_switch.value = not page.show_classes
        elif key == "u":
            page.panel.layers.doubt_switch.value = not page.show_doubt
        elif key == "?":
            self.help.open()
        else:
            await self._act(key)

    async def _act(self, key: str) -> None:
        page = self._page
        if key == "z":
            await page.change(Session.undo)
        elif key == "y":
            await page.change(Session.redo)
        elif key == "s":
            await page.suggest()
        elif key == "q":
            page.accuracy.toggle()
        elif key == "j":
            await page.draw_weakest()
        elif key == "k":
            page.toggle_checks()
        elif key == "n":
            await page.panel.classes.add_class()
