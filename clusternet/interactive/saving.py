"""Save the drawing of a scene after each change, from one thread at a time."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from clusternet.errors import ClusterNetError
from clusternet.foreign_errors import mistake, reason
from clusternet.interactive.autosave import save_drawing
from clusternet.labels.stroke_files import DrawingGrid
from clusternet.labels.strokes import Drawing

logger = logging.getLogger(__name__)


class Saver:
    """Saves drawings into the folder of a scene, and keeps the reason if that failed."""

    def __init__(self, folder: Path, grid: DrawingGrid) -> None:
        """Save into this folder, on the grid of its scene."""
        self._folder, self._grid = folder, grid
        self._lock = threading.Lock()
        self._saved: Drawing | None = None
        self.trouble = ""
        """Why the last changes are not saved, empty if they are."""

    def save(self, current: Callable[[], Drawing]) -> bool:
        """Save the drawing that ``current`` returns, once no other thread is saving.

        A drawing that is saved already is not written again: in a project, each stroke is a change
        for all scenes. If saving fails, ``trouble`` says why, and the next call tries again.

        Returns:
            True if ``trouble`` has changed.
        """
        before = self.trouble
        with self._lock:
            try:
                drawing = current()
                if drawing is not self._saved:
                    save_drawing(self._folder, drawing, self._grid)
                    self._saved = drawing
                self.trouble = ""
            except Exception as error:  # this thread must live on to save later changes
                line = mistake(error)
                self.trouble = f"Your last changes are not saved: {line or reason(error)}"
                if self.trouble != before:
                    logger.error("%s", self.trouble, exc_info=line is None)
        return self.trouble != before

    def rescue(self, drawing: Drawing) -> str:
        """Save a drawing among the temporary files, as the server ends; say where, and why."""
        try:
            folder = Path(tempfile.mkdtemp(prefix="clusternet_strokes_"))
            save_drawing(folder, drawing, self._grid)
        except (OSError, ClusterNetError) as error:
            return f"{self.trouble.rstrip('.')}, nor elsewhere ({reason(error)})."
        names = " and ".join(sorted(path.name for path in folder.iterdir()))
        return f"{self.trouble} They are in {folder}: move {names} to {self._folder}."
