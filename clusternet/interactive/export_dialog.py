"""The dialog that asks which files are to be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from clusternet.classes.polygons import PolygonOptions
from clusternet.interactive.dialogs import buttons, dialog
from clusternet.interactive.downloads import for_download
from clusternet.interactive.exports import FILES
from clusternet.interactive.tasks import Task

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

_SIZES = {
    "sieve": ("Sieve", "Areas of fewer pixels take the class of their largest neighbour"),
    "min_area": ("Least area", "Polygons of fewer pixels are left out"),
    "simplify": ("Simplify", "Tolerance in pixels of simplified borders"),
}


class ExportDialog:
    """The dialog of one page; it remembers what was chosen last."""

    def __init__(self, page: Page) -> None:
        """Build it, closed."""
        self._page, self._exports = page, page.workspace.exports
        with dialog("Export") as self._dialog:
            self._wanted = {
                what: ui.checkbox(name, value=what == "map").props("dense").mark(f"export-{what}")
                for what, (name, _) in FILES.items()
            }
            with ui.element("div").classes("sizes"):
                self._sizes = {
                    name: ui.number(text, value=0, min=0, step=1 if name != "simplify" else 0.5,
                                    suffix="px").props("dense").tooltip(meaning).mark(name)
                    for name, (text, meaning) in _SIZES.items()
                }  # fmt: skip
            for field in self._sizes.values():
                field.bind_enabled_from(self._wanted["polygons"], "value")
                field.on("keydown.enter", self._write)
            ui.label(
                "Sizes are for polygons. These and the table come with the class map."
            ).classes("facts")
            ui.label(f"Written to {self._exports.path('map').parent}").classes("facts path")
            buttons(self._dialog, "Export", self._write).mark("export")

    def open(self) -> None:
        """Ask."""
        self._dialog.open()

    async def _write(self) -> None:
        if not self._dialog.value:
            return  # a second Enter
        wanted = [what for what, box in self._wanted.items() if box.value]
        page, written = self._page, []

        def write(task: Task) -> None:
            with self._exports.turn(task):
                paths = self._exports.write(wanted, self._options(), task)
                task.begin("Packing ...")
                archive = self._exports.path("map").with_name(
                    f"{page.workspace.raster_path.stem}_export.zip"
                )
                written.append((paths, for_download(paths, archive)))

        self._dialog.close()
        with page.cards.working("Writing ...") as task:
            done = await page.attempt(write, task)
        with page.on_page() as is_open:
            if done and is_open:
                paths, file = written[0]
                page.say(f"Written: {', '.join(path.name for path in paths)}", "positive")
                ui.download.file(file)

    def _options(self) -> PolygonOptions:
        sizes = {name: field.value or 0 for name, field in self._sizes.items()}
        return PolygonOptions(int(sizes["sieve"]), int(sizes["min_area"]), float(sizes["simplify"]))
