"""Silence warnings of rasterio while several threads read."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from rasterio.errors import NotGeoreferencedWarning


class _Filters:
    """Saves the filters of ``warnings`` for the first of several users, and restores them.

    All threads share these filters. If each thread restored the filters that it saw on entering,
    one of them could restore the filters that another had set. So the first thread saves them, and
    the last thread restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = warnings.catch_warnings()

    def silence(self, categories: tuple[type[Warning], ...]) -> None:
        with self._lock:
            if not self._users:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
            self._users += 1
            for category in categories:
                warnings.simplefilter("ignore", category)

    def restore(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._before.__exit__(None, None, None)


_FILTERS = _Filters()


@contextmanager
def quiet_warnings(*categories: type[Warning]) -> Iterator[None]:
    """Silence warnings until the last thread that uses this has left its block."""
    _FILTERS.silence(categories)
    try:
        yield
    finally:
        _FILTERS.restore()


def quiet_georeferencing() -> AbstractContextManager[None]:
    """Silence rasterio's warning on files without georeference, which are allowed here."""
    return quiet_warnings(NotGeoreferencedWarning)
