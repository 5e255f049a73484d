"""Let background work wait while browsers fetch tiles of the view."""

from __future__ import annotations

import threading
import time

_QUIET_SECONDS = 0.25  # without a request for a tile: then the view is taken as complete


class TileRequests:
    """When a tile was last requested; safe to use from any thread."""

    def __init__(self) -> None:
        self._last = 0.0

    def note(self) -> None:
        """Note that a tile is requested now, or will be in a moment."""
        self._last = time.monotonic()

    def wait_until_quiet(self, most_seconds: float, stop: threading.Event) -> None:
        """Wait until no tiles are requested, at most ``most_seconds``, or until ``stop`` is set."""
        end = time.monotonic() + most_seconds
        while time.monotonic() < min(end, self._last + _QUIET_SECONDS):
            if stop.wait(0.02):
                return
