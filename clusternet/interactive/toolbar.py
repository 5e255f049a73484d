"""The toolbar above the map: tools, pen width, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from clusternet.interactive.session import Session

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

TOOLS = {
    "draw": ("brush", "D", "Draw"), "erase": ("cleaning_services", "E", "Erase"),
    "point": ("adjust", "O", "Point"),
    "line": ("timeline", "L", "Line: a click for each corner, Enter or a second click ends it"),
    "area": ("pentagon", "A", "Area: a click for each corner, Enter or a second click ends it"),
    "rectangle": ("crop_16_9", "R", "Rectangle: drag from corner to corner"),
    "superpixel": ("auto_awesome_mosaic", "X", "Superpixel: a click fills a piece of one colour"),
    "pick": ("near_me", "M", "Pick a stroke: move it, delete it, give it another class"),
    "pan": ("pan_tool", "P", "Move the map (or hold Space)"),
}  # fmt: skip
"""Icon, key and meaning of each tool."""


class Toolbar:
    """The toolbar of one page."""

    def __init__(self, page: Page) -> None:
        """Build the toolbar over the map of a page."""
        self._page = page
        with ui.element("div").classes("toolbar"):
            self._dot = ui.element("div").classes("dot").style("margin-left: 8px")
            self._name = ui.label("").classes("pen-class")
            ui.element("div").classes("divider")
            self._brush = ui.slider(min=3, max=60, value=page.brush).classes("brush")
            self._brush.on_value_change(lambda e: page.use(brush=int(e.value)))
            self._brush.tooltip("Pen width ( [ and ] )")
            ui.element("div").classes("divider")
            self._undo = self._button("undo", "Undo (Ctrl Z)", page.undo)
            self._redo = self._button("redo", "Redo (Ctrl Y)", lambda: page.undo(Session.redo))
            self._clear = self._button("delete_sweep", "Remove all strokes (Undo brings them back)",
                                      lambda: page.change(Session.clear))  # fmt: skip
            ui.element("div").classes("divider")
            self._button("my_location", "Where should I draw next? (S)", lambda: page.suggest())
            self._button("fit_screen", "Whole scene (F)", lambda: page.map.run_method("fit"))
            self._button("place", "Go to coordinates (G)", page.view.ask_place)
            self._swipe = self._button("compare", "Image beside classes, with a divider (W)",
                                       lambda: page.view.compare("swipe"))  # fmt: skip
            self._side = self._button("vertical_split", "Two maps side by side (V)",
                                      lambda: page.view.compare("side"))  # fmt: skip
            self._button("help_outline", "Shortcuts (?)", lambda: page.shortcuts.help.open())

        with ui.element("div").classes("tools"):
            self._tools = {tool: self._tool_button(tool) for tool in TOOLS}

    def _tool_button(self, tool: str) -> ui.button:
        icon, key, text = TOOLS[tool]
        button = ui.button(icon=icon, color=None, on_click=lambda: self._page.use(tool=tool))
        return button.props("flat dense").tooltip(f"{text} ({key})").mark(f"tool-{tool}")

    def _button(self, icon: str, text: str, action: Any) -> ui.button:
        button = ui.button(icon=icon, color=None, on_click=action).props("flat dense").tooltip(text)
        return button.mark(icon)

    def refresh(self) -> None:
        """Show the tool, the pen and the class of the page."""
        page, workspace = self._page, self._page.workspace
        self._brush.value = page.brush
        land_class = page.chosen_class
        self._dot.style(f"background: {page.pen_colour}")
        name = land_class.name if land_class else "no class"
        name = f"check: {name}" if page.draws_checks else name
        self._name.props["title"] = name  # the toolbar cuts off long names
        self._name.text = name
        for tool, button in self._tools.items():
            _mark(button, tool == page.tool)
        _mark(self._swipe, page.view.mode == "swipe")
        _mark(self._side, page.view.mode == "side")
        history = workspace.session.history
        self._undo.set_enabled(history.can_undo(page.owner))
        self._redo.set_enabled(history.can_redo(page.owner))
        self._clear.set_enabled(bool(workspace.drawing.strokes))


def _mark(button: ui.button, chosen: bool) -> None:
    button.classes(add="chosen") if chosen else button.classes(remove="chosen")
