"""The part of the panel that writes and reads files."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from clusternet.interactive.access import MOST_BYTES
from clusternet.interactive.load_dialog import load_file
from clusternet.labels.stroke_files import STROKE_SUFFIXES
from clusternet.messages import short_value

if TYPE_CHECKING:
    from clusternet.interactive.page import Page


class FileControls:
    """The exports of one page, and the files that it loads."""

    def __init__(self, page: Page) -> None:
        """Build them into the panel."""
        self._page, self._workspace = page, page.workspace
        with ui.element("div").classes("section"):
            ui.html("<h2>Files</h2>", sanitize=False)
            self._upload = upload(self._load, self._refuse, STROKE_SUFFIXES)
            self._button(
                "Export ... (Ctrl S)", "download", page.export_dialog.open, "export-dialog"
            )
            self._button("Load strokes ... (Ctrl O)", "upload", self.pick, "load")
            self._button("Classes ... (H)", "category", page.class_dialog.open, "classes")
            folder = ui.label(f"Kept in {self._workspace.folder}").classes("facts path q-mt-sm")
            folder.tooltip(str(self._workspace.folder))

    def _button(self, text: str, icon: str, action: Any, mark: str) -> None:
        button = ui.button(text, icon=icon, on_click=action).classes("wide").mark(mark)
        button.props("flat dense no-caps align=left color=grey-4")

    def pick(self) -> None:
        """Let the person choose a file of strokes."""
        self._upload.run_method("pickFiles")

    async def _load(self, event: events.UploadEventArguments) -> None:
        def load(path: Path) -> Awaitable[bool]:
            return load_file(self._page, path, short_value(event.file.name))

        if await receive(self._page, event, STROKE_SUFFIXES, load, self._refuse):
            number = len(self._workspace.drawing.strokes)
            self._page.say(f"Loaded; strokes now: {number}. Undo (Ctrl Z) takes it back.")
            self._page.refresh()

    def _refuse(self) -> None:
        most = f"{MOST_BYTES // 2**20} MiB"
        self._page.say(f"Choose one .gpkg or .geojson file of at most {most}.", "warning")


def upload(action: Any, refuse: Any, suffixes: Sequence[str]) -> ui.upload:
    """Return a hidden upload of one file."""
    field = ui.upload(
        on_upload=action, auto_upload=True, max_files=1, max_file_size=MOST_BYTES,
        on_rejected=refuse,
    ).props(f'accept="{",".join(suffixes)}"')  # fmt: skip
    return field.classes("hidden")  # NiceGUI ignores events of elements that set_visibility hides


async def receive(
    page: Page,
    event: events.UploadEventArguments,
    suffixes: Sequence[str],
    use: Callable[[Path], Awaitable[bool]],
    refuse: Callable[[], None],
) -> bool:
    """Hand a file that was sent to ``use``; True if it was used and the page is still open.

    Args:
        page: the page.
        event: the file.
        suffixes: endings that are taken; other programs may send any file.
        use: gets the path of the file, which is deleted afterwards.
        refuse: called for another ending.
    """
    done = False
    try:
        if Path(event.file.name).suffix.lower() not in suffixes:
            refuse()
            return False
        with page.telling():  # such as a full disk for temporary files
            async with _kept(event) as path:
                done = await use(path)
    finally:
        if not page.client.is_deleted:
            event.sender.reset()  # or it would take no other file
    return done and not page.client.is_deleted


@asynccontextmanager
async def _kept(event: events.UploadEventArguments) -> AsyncIterator[Path]:
    """Keep a file that was sent until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        # The browser chooses the name. Only its suffix is used, as it may hold a path.
        path = Path(folder) / f"sent{Path(event.file.name).suffix.lower()}"
        await event.file.save(path)
        yield path
