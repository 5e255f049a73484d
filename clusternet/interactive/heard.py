"""Hear the warnings that reading a file logs, to show them on the page that asked for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_READING = ("clusternet.labels", "clusternet.legend", "clusternet.raster")


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:  # other pages may read files at the same time
            self.lines.append(record.getMessage())


@contextmanager
def heard() -> Iterator[list[str]]:
    """Yield a list that gets the warnings that this thread logs while it reads files."""
    listener = _Listener()
    loggers = [logging.getLogger(name) for name in _READING]
    for each in loggers:
        each.addHandler(listener)
    try:
        yield listener.lines
    finally:
        for each in loggers:
            each.removeHandler(listener)
