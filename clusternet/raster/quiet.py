"""Warnings of rasterio silenced, whatever the number of threads that read."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from rasterio.errors import NotGeoreferencedWarning


class _Filters:
    """The filters of ``warnings`` as they were before the first of several users came.

    The filters belong to all threads: were each of them to restore what it found on entering,
    reading in several threads would leave the filters of one behind in another.
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
    """Silence warnings until the last thread that asked for silence has left."""
    _FILTERS.silence(categories)
    try:
        yield
    finally:
        _FILTERS.restore()


def quiet_georeferencing() -> AbstractContextManager[None]:
    """Silence rasterio's warning on files without georeference: they are welcome here."""
    return quiet_warnings(NotGeoreferencedWarning)
