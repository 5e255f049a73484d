"""What GDAL says while a file is opened or read, heard although rasterio gives no error.

rasterio logs GDAL's messages and raises some of them. Two kinds get lost: errors after which GDAL
gives zeros for pixels, and messages in another encoding than UTF-8, on which rasterio's callback
fails, prints a traceback, and forgets that there was an error at all.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clusternet.errors import ClusterNetError, RasterError
from clusternet.foreign_errors import is_foreign, reason
from clusternet.messages import one_line

_LOGGERS = ("rasterio._env", "rasterio._err")  # of GDAL's callbacks; no public names
_LOST = ("corrupt", "premature", "truncat")
"""Parts of GDAL's warnings, in lower case, that speak of pixels which are not there."""
_HARMLESS = re.compile(r"extraneous bytes before marker 0x(?!d[0-7])", re.I)
"""Programs leave bytes between the parts of a JPEG, which only inside its pixels are pixels."""
_UNKNOWN = re.compile(r"unsupported|not supported|missing codec|not implemented|unhandled", re.I)
"""Parts of GDAL's errors that speak of what it does not know rather than of damage."""
_AROUND = re.compile(
    r"^CPLE_\w+(:| in )\s*|\s*\(this (error|warning) can be turned [^)]*\)|(\\n|\s)+$"
)
"""What stands around some messages and tells a user nothing."""


@dataclass(frozen=True)
class Complaint:
    """One message of GDAL."""

    text: str
    is_error: bool
    """False for warnings."""

    @property
    def costs_pixels(self) -> bool:
        """True if what is read while GDAL says this cannot be relied on."""
        text = self.text.lower()
        lost = any(part in text for part in _LOST) and not _HARMLESS.search(text)
        return self.is_error or lost


class _Ears:
    """Hears GDAL in all threads that listen, from the first listener's coming to the last's going.

    Loggers and the hook for exceptions that cannot be raised belong to all threads, so they are
    changed once and restored once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._levels = dict.fromkeys(_LOGGERS, logging.NOTSET)
        self._hooks: Any = None
        self._own = threading.local()

    @contextmanager
    def listen(self) -> Iterator[list[Complaint]]:
        outer = self._heard
        heard: list[Complaint] = []
        self._own.heard = heard
        self._enter()
        try:
            yield heard
        finally:
            self._leave()
            self._own.heard = outer

    @property
    def _heard(self) -> list[Complaint] | None:
        """What this thread has heard; None if it does not listen."""
        heard: list[Complaint] | None = getattr(self._own, "heard", None)
        return heard

    def _enter(self) -> None:
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            for name in _LOGGERS:
                logger = logging.getLogger(name)
                self._levels[name] = logger.level
                logger.setLevel(logging.INFO)  # errors that may not matter come at this level
                logger.addFilter(self._hear)
            self._hooks = sys.excepthook, sys.unraisablehook  # Cython calls one, then the other
            sys.excepthook, sys.unraisablehook = self._ignore_uncaught, self._hear_unraisable

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            for name in _LOGGERS:
                logger = logging.getLogger(name)
                logger.removeFilter(self._hear)
                logger.setLevel(self._levels[name])
            sys.excepthook, sys.unraisablehook = self._hooks

    def _hear(self, record: logging.LogRecord) -> bool:
        """Note a message, and let through what would have been logged without us."""
        text = record.getMessage()
        is_error = record.levelno >= logging.ERROR or "signalled an error" in text
        if self._heard is not None and (is_error or record.levelno == logging.WARNING):
            said = text.partition("msg=")[2].strip("'\"") or text
            self._heard.append(Complaint(said, is_error))
        before = self._levels[record.name] or logging.getLogger("rasterio").getEffectiveLevel()
        return record.levelno >= before

    def _ignore_uncaught(self, *error: Any) -> None:
        if self._heard is None or not isinstance(error[1], UnicodeDecodeError):
            self._hooks[0](*error)

    def _hear_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        error = unraisable.exc_value
        if self._heard is None or not isinstance(error, UnicodeDecodeError):
            self._hooks[1](unraisable)
            return
        self._heard.append(Complaint(error.object.decode(errors="backslashreplace"), True))


_EARS = _Ears()


@contextmanager
def gdal_complaints() -> Iterator[list[Complaint]]:
    """Collect what GDAL says in this thread during a block."""
    with _EARS.listen() as heard:
        yield heard


@contextmanager
def whole_read(message: str, advice: str) -> Iterator[None]:
    """Raise RasterError if GDAL fails during a block, or says that pixels are not there.

    Args:
        message: says what cannot be read, without full stop; the reason follows it.
        advice: the end of the line.
    """
    with _EARS.listen() as heard:
        try:
            yield
        except Exception as error:
            if isinstance(error, ClusterNetError) or not is_foreign(error):
                raise
            said = next((c.text for c in heard if c.costs_pixels), reason(error))
            raise RasterError(_unread(message, said, advice)) from error
    lost = next((c for c in heard if c.costs_pixels), None)
    if lost is not None:
        raise RasterError(_unread(message, lost.text, advice))


def _unread(message: str, said: str, advice: str) -> str:
    said = plain_words(said)
    if _UNKNOWN.search(said):
        advice = "convert it with a program that reads it, such as the one that wrote it."
    return f"{message} ({said}); {advice}"


def plain_words(text: str) -> str:
    """Return what GDAL says without its own advice, as a part of a line of ours."""
    return one_line(_AROUND.sub("", text))
