"""How one page looks at the scene: compare, go to a place, sharp pixels, light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from clusternet.errors import LabelError
from clusternet.interactive.places import System, find_place, systems

if TYPE_CHECKING:
    from clusternet.interactive.page import Page


class View:
    """The view of one page; nothing of it is shared with other pages."""

    def __init__(self, page: Page) -> None:
        """Build the dialog that asks for a place."""
        self._page = page
        self.mode = "none"
        """``swipe`` or ``side`` while the image is shown beside its classes."""
        self.sharp, self.light = True, False
        self._dark = ui.dark_mode(True)
        self._systems = systems(page.workspace.profile)
        self._ask_place()

    def begin(self, theme: str | None) -> None:
        """Show the map as it was before a reload; ``theme`` is what the browser remembers."""
        self._page.map.run_method("setSharp", self.sharp)
        self._page.map.run_method("setCompare", self.mode)
        if theme == "light":
            self.set_light(True)

    def press(self, key: str) -> None:
        """Do what a key says, if it is one of the view's."""
        controls = self._page.panel.view
        if key == "w":
            self.compare("swipe")
        elif key == "v":
            self.compare("side")
        elif key == "g":
            self.ask_place()
        elif key == "i":
            controls.sharp.value = not self.sharp
        elif key == "t":
            controls.light.value = not self.light
        elif key == "b":
            controls.toggle_backdrop()

    # --- comparing -------------------------------------------------------------------------------
    def compare(self, mode: str) -> None:
        """Show the image beside its classes, or no longer if it is shown so."""
        self.mode = "none" if mode == self.mode else mode
        self._page.map.run_method("setCompare", self.mode)
        self._page.toolbar.refresh()

    def set_sharp(self, on: bool) -> None:
        """Show the pixels of an enlarged image as squares, or smoothed."""
        self.sharp = on
        self._page.map.run_method("setSharp", on)

    def set_light(self, on: bool) -> None:
        """Switch to the light theme or back; the browser remembers it."""
        self.light = on
        self._dark.value = not on
        self._page.panel.view.light.value = on
        name = "light" if on else "dark"
        ui.run_javascript(f'localStorage.setItem("clusternet-theme", "{name}")')

    # --- places ----------------------------------------------------------------------------------
    def _ask_place(self) -> None:
        with ui.dialog() as self._dialog, ui.card().classes("ask"):
            ui.label("Go to").classes("text-h6")
            self._system = ui.select(
                {system: system.value for system in self._systems}, value=self._systems[0]
            ).props("dense options-dense").classes("w-full").mark("place-system")  # fmt: skip
            self._place = ui.input("Two numbers").props("dense autofocus").classes("w-full")
            self._place.mark("place").on("keydown.enter", self._go)
            self._wrong = ui.label("").classes("trouble")
            with ui.row().classes("justify-end w-full"):
                ui.button("Cancel", on_click=self._dialog.close).props("flat no-caps")
                ui.button("Go", on_click=self._go).props("no-caps").mark("go")

    def ask_place(self) -> None:
        """Ask for the place to go to."""
        self._wrong.text = ""
        self._dialog.open()

    def _go(self) -> None:
        system = self._system.value
        profile = self._page.workspace.profile
        try:
            row, col = find_place(str(self._place.value or ""), System(system), profile)
        except LabelError as error:
            self._wrong.text = str(error)
            return
        self._dialog.close()
        self._page.map.run_method("goToPixel", row, col)
