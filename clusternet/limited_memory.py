"""Run a script whose memory is limited (``ulimit -v``) in a child process that this one watches.

When an allocation fails, libraries written in C print messages of their own and abort, or loop for
ever while they are loaded. Python code in the same process cannot catch either. A parent process
can: it reports one line, and ends the child.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import IO, NoReturn

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

_MARK = "CLUSTERNET_WATCHED"
# Each thread of OpenBLAS and each arena of malloc reserves address space, which the limit counts.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_START_SECONDS = 60  # of processor time; loading all libraries takes less than ten
_LOOK_EVERY = 0.1  # seconds
_OWN_END_SECONDS = 10.0  # in which the child may end by itself after a signal
_OUR_LINES = ("DEBUG: ", "INFO: ", "WARNING: ", "PROGRESS: ", "error: ")
_UNDERSTOOD = (0, 2)  # exit statuses with which the child itself has explained its end


def limit() -> int | None:
    """Return the memory that this process may use in bytes, None if nothing limits it."""
    if resource is None:
        return None
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    limits = [soft for soft, _ in map(resource.getrlimit, kinds) if soft != resource.RLIM_INFINITY]
    return min(limits, default=None)


def peak_memory() -> int | None:
    """Return the most memory that this process has used in bytes, None where that is not known."""
    if resource is None:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most) if sys.platform == "darwin" else int(most) * 1024  # KiB elsewhere


def is_watched() -> bool:
    """Tell whether this is the child. The mark is removed, so that its own children lack it."""
    return os.environ.pop(_MARK, None) == str(os.getppid())


def limit_start() -> Callable[[], None]:
    """End this process if loading libraries takes too long, or when its parent has ended.

    Returns:
        a function that lifts the limit of time after loading.
    """
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    before = resource.getrlimit(resource.RLIMIT_CPU)
    hard = before[1]
    if hard != resource.RLIM_INFINITY and hard <= _START_SECONDS:
        return lambda: None
    resource.setrlimit(resource.RLIMIT_CPU, (_START_SECONDS, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_CPU, before)


def watch(is_asked: Callable[[], bool], interrupted: int) -> NoReturn:
    """Run this script again in a child process, and exit with its status.

    Args:
        is_asked: tells whether a signal has asked this process to stop.
        interrupted: exit status in that case.
    """
    environment = _ENVIRONMENT | os.environ | {_MARK: str(os.getpid())}
    child = subprocess.Popen(  # noqa: S603  this very script
        [sys.executable, *sys.orig_argv[1:]], env=environment, stderr=subprocess.PIPE, text=True,
        errors="replace",
    )  # fmt: skip
    lines = _Lines(child.stderr or [])
    try:
        was_asked = _wait(child, is_asked)
    except KeyboardInterrupt:  # a second signal
        was_asked = True
        child.kill()
        child.wait()
    lines.end()
    _tell(child.returncode, lines, interrupted if was_asked else None)


def _wait(child: subprocess.Popen[str], is_asked: Callable[[], bool]) -> bool:
    """Wait for the end of the child; tell whether it was asked to stop."""
    asked = None
    while True:
        try:
            child.wait(_LOOK_EVERY)
            return asked is not None
        except subprocess.TimeoutExpired:
            if asked is None and is_asked():
                asked = time.monotonic()
                child.terminate()
            elif asked is not None and time.monotonic() - asked > _OWN_END_SECONDS:
                child.kill()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


class _Lines:
    """The child's stderr: our own lines are passed on at once, others are kept."""

    def __init__(self, stream: Iterable[str] | IO[str]) -> None:
        self.has_error = False
        self.last_word = ""
        self.kept: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: Iterable[str]) -> None:
        for line in stream:
            if line.startswith("interrupted"):
                self.last_word = line
            elif line.startswith(_OUR_LINES) and not self.has_error:
                self.has_error = line.startswith("error: ")
                sys.stderr.write(line)
                sys.stderr.flush()
            else:
                self.kept = [*self.kept[-50:], line]

    def end(self) -> None:
        """Wait until all is read, but not long: a grandchild may keep the pipe open."""
        self._thread.join(1)


def _tell(status: int, lines: _Lines, interrupted: int | None) -> NoReturn:
    if interrupted is not None:
        if lines.has_error:  # memory ran out just when the signal came: one line is enough
            raise SystemExit(2)
        sys.stderr.write(lines.last_word or "interrupted.\n")
        raise SystemExit(interrupted)
    if status == 0 or (status in _UNDERSTOOD and lines.has_error):
        if status == 0:
            sys.stderr.writelines(lines.kept)
        raise SystemExit(status)
    said = f" ({lines.kept[-1].strip()[:120]})" if lines.kept else ""
    sys.stderr.write(
        f"error: Ended{said}, most likely because memory is limited to {(limit() or 0) >> 20} MB; "
        "raise the limit (ulimit -v).\n"
    )
    raise SystemExit(2)
