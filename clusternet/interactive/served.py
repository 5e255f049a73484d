"""The scenes that a server shows: a workspace and the tiles of each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from clusternet.errors import OutputError
from clusternet.interactive.workspace import Workspace
from clusternet.raster.pyramid import build_pyramid

if TYPE_CHECKING:
    from clusternet.interactive.project import Project
    from clusternet.interactive.tiles import ImageTiles


class Served:
    """Scenes by number, from 0; safe to use from any thread."""

    def __init__(
        self, workspaces: Sequence[Workspace], first: ImageTiles, project: Project | None = None
    ) -> None:
        """Serve scenes; the tiles of all but the first are made when they are asked for."""
        self.workspaces, self.project = tuple(workspaces), project
        self._images = {0: first}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the background threads of all scenes."""
        for workspace in self.workspaces:
            workspace.start()

    def save(self) -> None:
        """Save all strokes now."""
        for workspace in self.workspaces:
            workspace.save()

    def check_saved(self) -> None:
        """Raise OutputError if the last changes of a scene could not be saved."""
        for workspace in self.workspaces:
            if workspace.unsaved:
                raise OutputError(workspace.unsaved)

    def stop(self) -> None:
        """Stop them, save all strokes and unlock all scenes; it may be called again."""
        for workspace in self.workspaces:
            workspace.end()
        for workspace in self.workspaces:
            workspace.stop()

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.workspaces)

    def number(self, text: str | None) -> int:
        """Return the number of a scene from an address; the first one for any other text."""
        given = int(text) if text is not None and text.isdecimal() else 0
        return given if given < len(self) else 0

    def images(self, number: int) -> ImageTiles:
        """Return the tiles of the raster of a scene."""
        from clusternet.interactive.tiles import ImageTiles

        with self._lock:
            if number not in self._images:
                workspace = self.workspaces[number]
                path = build_pyramid(workspace.raster_path, workspace.folder)
                choice = workspace.run.bands.nodata_choice.of_pixels
                self._images[number] = ImageTiles(path, choice)
            return self._images[number]
