"""One warning of rasterio silenced, whatever the number of threads that read."""

from __future__ import annotations

import threading
import warnings

from rasterio.errors import NotGeoreferencedWarning


class _Quiet:
    """Silences a warning until its last user has left.

    The filters of ``warnings`` belong to all threads: were each of them to restore what it found
    on entering, reading in several threads would leave the filters of one behind in another.
    """

    def __init__(self, category: type[Warning]) -> None:
        self._category = category
        self._lock = threading.Lock()
        self._users = 0
        self._before = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
            self._users += 1
            warnings.simplefilter("ignore", self._category)

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._before.__exit__(None, None, None)


_QUIET = _Quiet(NotGeoreferencedWarning)


def quiet_georeferencing() -> _Quiet:
    """Silence rasterio's warning on files without georeference: they are welcome here."""
    return _QUIET
