"""Notices that the raster on the page is no longer the one that was opened."""

from __future__ import annotations

from pathlib import Path

from clusternet.locations import state_of

State = tuple[int, int]
"""Size in bytes and time of change in ns."""


class RasterWatch:
    """Compares a file with what it was when the watch began; safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        """Begin to watch."""
        self._path = path
        self._before = _state(path)
        self.trouble = ""
        """What has happened to the file, in one line; empty if nothing has."""

    def look(self) -> bool:
        """Look at the file again; True if ``trouble`` has changed."""
        now, before, trouble = _state(self._path), self.trouble, ""
        if now != self._before:
            what = "is no longer there" if now is None else "has changed"
            trouble = (
                f"{self._path.name}: {what} since the page was opened, so that classes no longer "
                "fit it. Your strokes are kept; end the server and start it again."
            )
        self.trouble = trouble
        return trouble != before


def _state(path: Path) -> State | None:
    try:
        return state_of(path)
    except OSError:
        return None
