"""The dialog for all classes: merge two, save the list, load another one."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from nicegui import events, ui

from clusternet.errors import LabelError
from clusternet.interactive.dialogs import dialog
from clusternet.interactive.drop_downs import drop_down
from clusternet.interactive.file_controls import receive, upload
from clusternet.labels.class_changes import merge_class, use_classes
from clusternet.legend.class_files import CLASS_FILE_SUFFIXES, read_class_file

if TYPE_CHECKING:
    from pathlib import Path

    from clusternet.interactive.page import Page


class ClassDialog:
    """The dialog of one page."""

    def __init__(self, page: Page) -> None:
        """Build it, closed."""
        self._page, self._workspace = page, page.workspace
        with dialog("Classes") as self._dialog:
            ui.label("Merge: all strokes of the first class become strokes of the second.").classes(
                "facts"
            )
            with ui.element("div").classes("merge"):
                self._from = drop_down({}, label="Class").mark("merge-from")
                ui.icon("arrow_forward")
                self._into = drop_down({}, label="becomes").mark("merge-into")
                ui.button("Merge", on_click=self._merge).props("unelevated no-caps").mark("merge")
            ui.label(
                "A list has numbers, names, colours and order. Loading one keeps all strokes: a "
                "class with the name of a listed one becomes that, others stay behind the list."
            ).classes("facts q-mt-md")
            with ui.element("div").classes("merge"):
                self._upload = upload(self._load, self._refuse, CLASS_FILE_SUFFIXES)
                ui.button("Save list", icon="download", on_click=self._save).props(
                    "flat no-caps color=grey-4"
                ).mark("save-classes")
                ui.button(
                    "Load list", icon="upload",
                    on_click=lambda: self._upload.run_method("pickFiles"),
                ).props("flat no-caps color=grey-4").mark("load-classes")  # fmt: skip
            ui.label("Order: drag a class by its number, or Alt and the arrow keys.").classes(
                "facts q-mt-md"
            )
            with ui.element("div").classes("dialog-buttons"):
                ui.button("Close", on_click=self._dialog.close).props("flat no-caps color=grey-5")

    def open(self) -> None:
        """Open it with the chosen class first."""
        names = {c.number: c.name for c in self._workspace.drawing.classes}
        chosen = self._page.chosen if self._page.chosen in names else None
        others = [number for number in names if number != chosen]
        self._from.set_options(names, value=chosen)
        self._into.set_options(names, value=others[0] if others else None)
        self._dialog.open()

    async def _merge(self) -> None:
        number, into = self._from.value, self._into.value
        if number is None or into is None:
            self._page.say("Choose two classes.", "warning")
            return
        if await self._page.change(
            lambda s: s.change_whole(lambda d: merge_class(d, number, into))
        ):
            self._dialog.close()
            await self._page.choose(into)

    async def _save(self) -> None:
        path = self._workspace.exports.path("classes")
        done = await self._page.attempt(self._workspace.exports.classes, path, overwrite=True)
        with self._page.on_page() as is_open:
            if done and is_open:
                ui.download.file(path)

    async def _load(self, event: events.UploadEventArguments) -> None:
        def use(path: Path) -> Awaitable[bool]:
            return self._page.attempt(self._use, path, called=event.file.name)

        if await receive(self._page, event, CLASS_FILE_SUFFIXES, use, self._refuse):
            self._dialog.close()
            self._page.say("Classes loaded. Undo (Ctrl Z) takes it back.")
            self._page.refresh()

    def _use(self, path: Path) -> None:
        listed = read_class_file(path)
        if not listed:
            raise LabelError(f"{path}: holds no class.")
        owner = self._page.owner
        self._workspace.change(lambda s: s.change_whole(lambda d: use_classes(d, listed)), owner)

    def _refuse(self) -> None:
        self._page.say("Choose one .csv or .json file with classes.", "warning")
