"""The panel to the right of the map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from clusternet.interactive.class_rows import ClassRows
from clusternet.interactive.file_controls import FileControls
from clusternet.interactive.layer_controls import LayerControls
from clusternet.interactive.scene_list import SceneList
from clusternet.interactive.view_controls import ViewControls
from clusternet.messages import without_flags

if TYPE_CHECKING:
    from clusternet.interactive.page import Page


class Panel:
    """The panel of one page: the scene, its classes, what the map shows, and files."""

    def __init__(self, page: Page) -> None:
        """Build the panel of a page."""
        self._workspace = page.workspace
        with ui.element("div").classes("panel"):
            self._header()
            self.scenes = SceneList(page)
            self.classes = ClassRows(page)
            self.layers = LayerControls(page)
            self.view = ViewControls(page)
            self.files = FileControls(page)

    def _header(self) -> None:
        profile = self._workspace.profile
        rows, cols = profile.shape
        crs = "pixel coordinates" if profile.crs is None else profile.crs.to_string()
        crs = crs if len(crs) < 30 else "local CRS"
        with ui.element("div").classes("section"):
            ui.html("<h2>ClusterNet</h2>", sanitize=False)
            ui.label(profile.path.name).classes("scene-name")
            ui.label(f"{cols:,} x {rows:,} px  ·  {profile.num_bands} bands  ·  {crs}").classes(
                "facts"
            )
            self._trouble = ui.label("").classes("trouble").mark("trouble")
            with ui.element("div").classes("q-mt-sm") as self._progress:
                self._progress_text = ui.label("").classes("facts").mark("progress")
                self._progress_bar = ui.linear_progress(show_value=False).props("rounded size=6px")

    def refresh(self) -> None:
        """Show the classes, areas and progress of the workspace."""
        self.scenes.refresh()
        self.classes.refresh()
        self.layers.refresh()
        self._trouble.text = without_flags(self._workspace.trouble)
        progress = self._workspace.filling.progress
        self._progress.set_visibility(progress.done < progress.total)
        self._progress_bar.value = progress.done / max(progress.total, 1)
        self._progress_text.text = without_flags(progress.message) or (
            f"Computing features, once: {progress.done} of {progress.total} windows. "
            "You can draw where they are ready."
        )
