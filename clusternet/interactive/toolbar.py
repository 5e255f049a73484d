"""The toolbar above the map: tools, pen width, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from clusternet.interactive.session import Session

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

_TOOLS = {"draw": ("brush", "Draw (D)"), "erase": ("cleaning_services", "Erase (E)"),
          "pan": ("pan_tool", "Move the map (P, or hold Space)")}  # fmt: skip


class Toolbar:
    """The toolbar of one page."""

    def __init__(self, page: Page) -> None:
        """Build the toolbar over the map of a page."""
        self._page = page
        with ui.element("div").classes("toolbar"):
            self._dot = ui.element("div").classes("dot").style("margin-left: 8px")
            self._name = ui.label("").classes("pen-class")
            self._tools: dict[str, ui.button] = {}
            for tool, (icon, text) in _TOOLS.items():
                button = ui.button(icon=icon, color=None, on_click=lambda t=tool: page.use(tool=t))
                button.props("flat dense").tooltip(text).mark(f"tool-{tool}")
                self._tools[tool] = button
            ui.element("div").classes("divider")
            self._brush = ui.slider(min=3, max=60, value=page.brush).classes("brush")
            self._brush.on_value_change(lambda e: page.use(brush=int(e.value)))
            self._brush.tooltip("Pen width ( [ and ] )")
            ui.element("div").classes("divider")
            self._undo = self._button("undo", "Undo (Ctrl Z)", lambda: page.change(Session.undo))
            self._redo = self._button("redo", "Redo (Ctrl Y)", lambda: page.change(Session.redo))
            self._clear = self._button("delete_sweep", "Remove all strokes (Undo brings them back)",
                                      lambda: page.change(Session.clear))  # fmt: skip
            ui.element("div").classes("divider")
            self._button("my_location", "Where should I draw next? (S)", lambda: page.suggest())
            self._button("fit_screen", "Whole scene (F)", lambda: page.map.run_method("fit"))
            self._button("help_outline", "Shortcuts (?)", lambda: page.shortcuts.help.open())

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
            button.classes(add="chosen") if tool == page.tool else button.classes(remove="chosen")
        self._undo.set_enabled(workspace.session.can_undo)
        self._redo.set_enabled(workspace.session.can_redo)
        self._clear.set_enabled(bool(workspace.drawing.strokes))
