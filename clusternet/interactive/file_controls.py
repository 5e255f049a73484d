"""The part of the panel that writes and reads files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import events, ui

from clusternet.classes.export import Export
from clusternet.interactive.access import MOST_BYTES
from clusternet.labels.stroke_files import STROKE_SUFFIXES

if TYPE_CHECKING:
    from clusternet.interactive.page import Page


class FileControls:
    """The exports of one page, and the files that it loads."""

    def __init__(self, page: Page) -> None:
        """Build them into the panel."""
        self._page, self._workspace = page, page.workspace
        self._files()

    def _files(self) -> None:
        with ui.element("div").classes("section"):
            ui.html("<h2>Files</h2>", sanitize=False)
            for text, icon, what in (
                ("Class map (GeoTIFF)", "layers", "map"),
                ("Polygons (GeoPackage)", "pentagon", "polygons"),
                ("Legend (cluster to class)", "list", "legend"),
                ("Strokes (GeoPackage)", "gesture", "strokes"),
            ):
                ui.button(text, icon=icon, on_click=lambda w=what: self._export(w)).props(
                    "flat dense no-caps align=left color=grey-4"
                ).classes("wide").mark(f"export-{what}")
            upload = ui.upload(
                on_upload=self._load, auto_upload=True, max_files=1, max_file_size=MOST_BYTES,
                on_rejected=self._refuse_upload,
            ).props(f'accept="{",".join(STROKE_SUFFIXES)}"')  # fmt: skip
            upload.classes("hidden")  # NiceGUI ignores events of elements that set_visibility hides
            ui.button(
                "Load strokes", icon="upload", on_click=lambda: upload.run_method("pickFiles")
            ).props("flat dense no-caps align=left color=grey-4").classes("wide").mark("load")
            ui.label(f"Kept in {self._workspace.folder}").classes("facts q-mt-sm").style(
                "overflow-wrap: anywhere"
            )

    async def _export(self, what: str) -> None:
        exports, stem = self._workspace.exports, self._workspace.raster_path.stem
        folder = self._workspace.folder / "exports"
        path = {"map": folder / f"{stem}_classes.tif", "polygons": folder / f"{stem}_polygons.gpkg",
                "legend": folder / f"{stem}_legend.csv", "strokes": folder / f"{stem}_strokes.gpkg",
                }[what]  # fmt: skip
        export = Export(
            folder / f"{stem}_classes.tif", overwrite=True,
            polygons=path if what == "polygons" else None,
        )  # fmt: skip
        with self._waiting("Writing ..."):
            if what == "strokes":
                done = await self._page.attempt(exports.strokes, path, overwrite=True)
            elif what == "legend":
                done = await self._page.attempt(exports.legend, path, overwrite=True)
            else:
                done = await self._page.attempt(exports.class_map, export)
        with self._page.on_page() as is_open:
            if done and is_open:
                self._page.say(f"Written: {path.name}", "positive")
                ui.download.file(path)

    @contextmanager
    def _waiting(self, text: str) -> Iterator[None]:
        """Show that work is being done."""
        with self._page.on_page():
            waiting = ui.notification(text, spinner=True, timeout=None)
        try:
            yield
        finally:
            if not self._page.client.is_deleted:
                waiting.dismiss()

    async def _load(self, event: events.UploadEventArguments) -> None:
        if Path(event.file.name).suffix.lower() not in STROKE_SUFFIXES:
            self._refuse_upload()
            return
        with tempfile.TemporaryDirectory() as folder:
            # The browser chooses the name. Only its suffix is used, as it may hold a path.
            path = Path(folder) / f"strokes{Path(event.file.name).suffix.lower()}"
            await event.file.save(path)
            with self._waiting(f"Reading {event.file.name} ..."):
                done = await self._page.attempt(
                    self._workspace.load, path, called=event.file.name, owner=self._page.owner
                )
        if self._page.client.is_deleted:
            return
        event.sender.reset()
        if done:
            number = len(self._workspace.drawing.strokes)
            self._page.say(f"{number} strokes loaded; Undo brings the old ones back.")
            self._page.refresh()

    def _refuse_upload(self) -> None:
        most = f"{MOST_BYTES // 2**20} MiB"
        self._page.say(f"Choose one .gpkg or .geojson file of at most {most}.", "warning")
