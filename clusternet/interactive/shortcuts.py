"""The keys of the page: what each does, and the dialog that lists them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import ui
from nicegui.events import GenericEventArguments

from clusternet.interactive.session import Session
from clusternet.interactive.toolbar import TOOLS

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

SHORTCUTS = {
    "1 ... 9": "choose a class; a picked stroke gets it", "N": "new class",
    "D / E / P": "draw, erase, move the map", "O / L / A / R": "point, line, area, rectangle",
    "X": "fill superpixels", "M": "pick a stroke; drag it, Delete removes it",
    ", / .": "pick the stroke before, the next one",
    "Arrows": "move the crosshair, the picked stroke or the map; Shift: finely",
    "Enter": "pen down or up, next corner; ends a line or an area",
    "Backspace / Esc": "drop the last corner, drop all; Esc also cancels what runs",
    "PageUp / PageDown": "the scene before, the next one",
    "[ / ]": "pen width", "Space": "hold to move", "wheel, + / -": "zoom; right button moves",
    "Ctrl Z / Y": "undo, redo", "S": "where to draw next", "C": "hide and show classes",
    "U": "show where it is uncertain", "W": "divider between image and classes (arrows move it)",
    "V": "two maps side by side", "G": "go to coordinates", "I": "sharp or smooth pixels",
    "B": "hide and show the backdrop", "T": "light or dark",
    "Q": "how good is it?", "J": "draw more of the weakest class",
    "K": "draw strokes that are held back as a check",
    "H": "merge classes; save and load their list", "Alt ↑ / ↓": "move the class up or down",
    "Ctrl S / O": "export, load strokes", "F": "whole scene", "?": "this list",
}  # fmt: skip
"""Keys as a person reads them, and what they do."""
_COMBOS = Path(__file__).with_name("combos.js")
_TOOLS = {key.lower(): tool for tool, (_, key, _) in TOOLS.items()}


class Shortcuts:
    """The keys of one page."""

    def __init__(self, page: Page) -> None:
        """Build the dialog that lists them."""
        self._page = page
        ui.add_body_html(f"<script>{_COMBOS.read_text(encoding='utf-8')}</script>")
        ui.on("combo", self.press_combo)
        with ui.dialog() as self.help, ui.card().classes("help"):
            ui.label("Shortcuts").classes("text-h6 q-mb-sm")
            with ui.element("div").classes("shortcuts"):
                for key, text in SHORTCUTS.items():
                    ui.html(f"<kbd>{key}</kbd>", sanitize=False)
                    ui.label(text)

    async def press_combo(self, event: GenericEventArguments) -> None:
        """Do what a key with Ctrl or Alt says."""
        page, key = self._page, event.args["key"]
        if key == "s":
            page.export_dialog.open()
        elif key == "o":
            page.panel.files.pick()
        elif key in ("arrowup", "arrowdown"):
            await page.panel.classes.move_chosen(-1 if key == "arrowup" else 1)

    async def press(self, event: GenericEventArguments) -> None:
        """Do what a key says."""
        page, key = self._page, event.args["key"]
        classes = page.workspace.drawing.classes
        if event.args["command"]:
            back = key == "z" and not event.args["shift"]
            await page.undo(Session.undo if back else Session.redo)
        elif key.isdigit():
            if 1 <= int(key) <= len(classes):
                await page.choose(classes[int(key) - 1].number)
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
            await page.undo()
        elif key == "y":
            await page.undo(Session.redo)
        elif key == "s":
            await page.suggest()
        elif key == "q":
            page.accuracy.toggle()
        elif key == "j":
            await page.draw_weakest()
        elif key == "k":
            page.toggle_checks()
        elif key == "h":
            page.class_dialog.open()
        elif key == "n":
            await page.panel.classes.add_class()
        elif key in ("delete", "backspace"):
            await page.tools.delete()
        elif key in ("pageup", "pagedown"):
            page.panel.scenes.step(1 if key == "pagedown" else -1)
        elif key == "escape":
            page.cards.cancel_last()
        elif key in ",.":
            page.tools.step(1 if key == "." else -1)
        else:
            page.view.press(key)
