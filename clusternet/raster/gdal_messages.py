"""Collect the messages of GDAL, including errors that rasterio does not raise.

rasterio logs GDAL's messages and raises some of them. Two kinds get lost. After some errors GDAL
returns zeros for pixels, and rasterio raises nothing. And if a message is not encoded in UTF-8,
rasterio's callback fails: Python prints a traceback, and the error is not raised.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clusternet.errors import ClusterNetError, RasterError
from clusternet.foreign_errors import is_foreign, reason
from clusternet.messages import one_line
from clusternet.raster.answers import Answer

# the loggers of rasterio's callbacks for GDAL's messages, which have no public names
_LOGGERS = ("rasterio._env", "rasterio._err")
_LOST = ("corrupt", "premature", "truncat")
"""Words in GDAL's warnings, in lower case, that mean missing pixels."""
_HARMLESS = re.compile(r"extraneous bytes before marker 0x(?!d[0-7])", re.I)
"""Some programs leave bytes between the segments of a JPEG, which do no harm. Only before the
restart markers D0 to D7, which lie inside the pixel data, such bytes mean lost pixels."""
_UNKNOWN = re.compile(r"unsupported|not supported|missing codec|not implemented|unhandled", re.I)
"""Words in GDAL's errors that mean an unsupported format and not a damaged file."""
_AROUND = re.compile(
    r"^CPLE_\w+(:| in )\s*|\s*\(this (error|warning) can be turned [^)]*\)|(\\n|\s)+$"
)
"""Text around some messages that does not help users: error codes, hints at GDAL's options."""


@dataclass(frozen=True)
class Complaint:
    """One message of GDAL."""

    text: str
    is_error: bool
    """False for warnings."""

    @property
    def costs_pixels(self) -> bool:
        """True if pixels that were read with this message may be wrong."""
        text = self.text.lower()
        lost = any(word in text for word in _LOST) and not _HARMLESS.search(text)
        return self.is_error or lost


class _MessageCollector:
    """Collects GDAL's messages, for each thread that listens.

    Loggers and Python's hooks for uncaught exceptions are shared by all threads. So they are
    changed when the first thread starts to listen, and restored when the last one stops.
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
        """The messages that this thread has collected; None if it does not listen."""
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
                logger.setLevel(logging.INFO)  # rasterio logs errors that it ignores at this level
                logger.addFilter(self._hear)
            # Cython calls excepthook and then unraisablehook when a callback fails
            self._hooks = sys.excepthook, sys.unraisablehook
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
        """Collect a message; return True if it would have been logged without us."""
        text = record.getMessage()
        # rasterio logs errors that it clears as "GDAL signalled an error: ..., msg=..." at INFO
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


_COLLECTOR = _MessageCollector()


@contextmanager
def gdal_complaints() -> Iterator[list[Complaint]]:
    """Collect GDAL's messages in this thread during a block."""
    with _COLLECTOR.listen() as heard:
        yield heard


@contextmanager
def whole_read(
    message: str, advice: str, explain: Callable[[Sequence[str]], Answer] | None = None
) -> Iterator[None]:
    """Raise RasterError if GDAL fails during a block, or reports missing pixels.

    Args:
        message: start of the error, without full stop; the reason follows.
        advice: end of the error, if the first error is its reason.
        explain: returns reason and advice from all that was said; None takes the first error.
    """
    with _COLLECTOR.listen() as heard:
        try:
            yield
        except Exception as error:
            if isinstance(error, ClusterNetError) or not is_foreign(error):
                raise
            first = next((c.text for c in heard if c.costs_pixels), reason(error))
            said = [*(c.text for c in heard), first]
            answer = _told(first, advice) if explain is None else explain(said)
            raise RasterError(f"{message} ({answer.reason}); {answer.advice}") from error
    lost = next((c for c in heard if c.costs_pixels), None)
    if lost is not None:
        said = [c.text for c in heard]
        answer = _told(lost.text, advice) if explain is None else explain(said)
        raise RasterError(f"{message} ({answer.reason}); {answer.advice}")


def _told(said: str, advice: str) -> Answer:
    """Return GDAL's own reason, with advice on a format that it does not know."""
    said = plain_words(said)
    if _UNKNOWN.search(said):
        advice = "convert it with a program that reads it, such as the one that wrote it."
    return Answer(said, advice)


def plain_words(text: str) -> str:
    """Return a message of GDAL in one line, without its error code and advice."""
    return one_line(_AROUND.sub("", text))
