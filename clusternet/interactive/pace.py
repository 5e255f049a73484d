"""Work in the background makes way for what a person is looking at."""

from __future__ import annotations

import threading
import time

_REST_SECONDS = 0.25  # without a tile asked for: then the view is drawn


class Pace:
    """When a view was last being drawn; safe to use from any thread."""

    def __init__(self) -> None:
        self._last_shown = 0.0

    def showing(self) -> None:
        """Say that a part of the view is being drawn."""
        self._last_shown = time.monotonic()

    def make_way(self, most: float, stop: threading.Event) -> None:
        """Wait until the view is drawn, at most so many seconds, or until stopped."""
        end = time.monotonic() + most
        while time.monotonic() < min(end, self._last_shown + _REST_SECONDS):
            if stop.wait(0.02):
                return
