"""The scenes that a server shows: a workspace and the tiles of each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from clusternet.errors import OutputError
from clusternet.foreign_errors import mistake, reason
from clusternet.interactive.workspace import Workspace
from clusternet.raster.pyramid import build_pyramid

if TYPE_CHECKING:
    from clusternet.interactive.project import Project
    from clusternet.interactive.tiles import ImageTiles

logger = logging.getLogger(__name__)

MOST_DIGITS = 6
"""Of the number of a scene or band in an address; other programs may send any."""


class Served:
    """Scenes by number, from 0; safe to use from any thread."""

    def __init__(
        self, workspaces: Sequence[Workspace], first: ImageTiles, project: Project | None = None
    ) -> None:
        """Serve scenes; the tiles of all but the first are made later."""
        self.workspaces, self.project = tuple(workspaces), project
        self._images = {0: first}
        self._lock = threading.Lock()
        self._preparing: threading.Thread | None = None

    def start(self) -> None:
        """Start the background threads of all scenes, and prepare their tiles one by one."""
        for workspace in self.workspaces:
            workspace.start()
        self._preparing = threading.Thread(target=self._prepare, name="tiles", daemon=True)
        self._preparing.start()

    def _prepare(self) -> None:
        for number, workspace in enumerate(self.workspaces):
            if workspace.is_ending:
                return
            try:
                self.images(number)
            except Exception as error:  # the other scenes are wanted all the same
                if workspace.is_ending:
                    return
                line = mistake(error)
                logger.warning("%s", line or reason(error), exc_info=line is None)

    def save(self) -> None:
        """Save all strokes now."""
        for workspace in self.workspaces:
            workspace.save()

    def check_saved(self) -> None:
        """Raise OutputError if the last changes of a scene could not be saved with it.

        They are saved among the temporary files then.
        """
        lines = [workspace.rescue() for workspace in self.workspaces if workspace.unsaved]
        for line in lines[1:]:
            logger.error("%s", line)
        if lines:
            raise OutputError(lines[0])

    def stop(self) -> None:
        """Stop them, save all strokes and unlock all scenes; it may be called again."""
        for workspace in self.workspaces:
            workspace.end()
        if self._preparing is not None:
            self._preparing.join(timeout=10)  # or Python would wait for its process
        for workspace in self.workspaces:
            workspace.stop()

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.workspaces)

    def number(self, text: str | None) -> int:
        """Return the number of a scene from an address; the first one for any other text."""
        is_number = text is not None and text.isdecimal() and len(text) <= MOST_DIGITS
        given = int(text) if text is not None and is_number else 0
        return given if given < len(self) else 0

    def is_ready(self, number: int) -> bool:
        """Tell whether the tiles of a scene are there at once."""
        return number in self._images

    def images(self, number: int) -> ImageTiles:
        """Return the tiles of the raster of a scene; overviews of a large one may take minutes."""
        from clusternet.interactive.tiles import ImageTiles

        if self.is_ready(number):
            return self._images[number]
        with self._lock:  # one after another: each reads a whole raster
            if not self.is_ready(number):
                workspace = self.workspaces[number]
                path = build_pyramid(
                    workspace.raster_path, workspace.folder, lambda: workspace.is_ending
                )
                choice = workspace.run.bands.nodata_choice.of_pixels
                self._images[number] = ImageTiles(path, choice)
            return self._images[number]
