"""The drawing of a scene saved after each change, by one thread at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from clusternet.foreign_errors import mistake, reason
from clusternet.interactive.autosave import save_drawing
from clusternet.labels.stroke_files import DrawingGrid
from clusternet.labels.strokes import Drawing

logger = logging.getLogger(__name__)


class Saver:
    """Saves drawings into the folder of a scene, and remembers what went wrong."""

    def __init__(self, folder: Path, grid: DrawingGrid) -> None:
        """Remember where."""
        self._folder, self._grid = folder, grid
        self._lock = threading.Lock()
        self.trouble = ""
        """Why the last changes are not saved, empty if they are."""

    def save(self, current: Callable[[], Drawing]) -> bool:
        """Save the drawing that is in force when no other thread saves; tried again next time.

        Returns:
            True if ``trouble`` has changed.
        """
        before = self.trouble
        with self._lock:
            try:
                save_drawing(self._folder, current(), self._grid)
                self.trouble = ""
            except Exception as error:  # later changes must be saved all the same
                line = mistake(error)
                self.trouble = f"Your last changes are not saved: {line or reason(error)}"
                logger.error("%s", self.trouble, exc_info=line is None)
        return self.trouble != before
