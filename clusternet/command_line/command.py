"""Run a script: its result goes to stdout, a user's mistake becomes one line on stderr."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from clusternet import __version__
from clusternet.errors import ClusterNetError, OutputError
from clusternet.foreign_errors import describe, is_foreign, reason
from clusternet.limited_memory import peak_memory
from clusternet.messages import MOST, printable, short
from clusternet.process_setup import prepare_process
from clusternet.processes.interrupts import STATUS, interrupts
from clusternet.processes.phases import phases
from clusternet.processes.showing import progress_shown

_LOG = logging.getLogger(__name__)
_LEVELS = {-1: logging.WARNING, 0: logging.INFO, 1: logging.DEBUG}


class _OneLine(logging.Formatter):
    """Writes a log message as one line, even if it contains names with line breaks."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback follows it unchanged."""
        record.message = short(printable(record.message), MOST)
        return super().formatMessage(record)


def run_command(command: Callable[[], None], verbosity: int = 0) -> None:
    """Run a script; a user's mistake becomes one line on stderr and exit status 2.

    So does an exception of a library or the system that `clusternet.foreign_errors` lists. Any
    other exception keeps its traceback, with a note that asks for a report.

    Args:
        command: what to run.
        verbosity: -1 hides progress and information, 1 adds versions, time and memory.
    """
    prepare_process()
    _log_to_stderr(verbosity)
    try:
        with progress_shown(verbosity >= 0):
            _run(command)
        _flush()
        interrupts.ignore()
    except ClusterNetError as error:
        _fail(str(error))
    except KeyboardInterrupt as stop:
        print(_interrupted(str(stop)), file=sys.stderr)
        interrupts.leave()
        raise SystemExit(STATUS) from None
    except BrokenPipeError:
        _discard_stdout()
        raise SystemExit(1) from None
    except Exception as error:
        if is_foreign(error):
            _fail(describe(error))
        error.add_note("This is a fault of ClusterNet: please report it with the lines above.")
        raise


def _run(command: Callable[[], None]) -> None:
    """Run a command; in the log of ``--verbose`` say with what, how long it took and its memory."""
    if _LOG.isEnabledFor(logging.DEBUG):
        system = f"{platform.system()} {platform.machine()}"
        _LOG.debug("clusternet %s, Python %s, %s", __version__, platform.python_version(), system)
    begin = time.monotonic()
    try:
        command()
    finally:
        memory = peak_memory()
        most = f", {memory >> 20} MB of memory at most" if memory is not None else ""
        spent = time.monotonic() - begin
        _LOG.debug("%.1f s, %s%s", spent, phases.summary(), most)


def say(result: object, *, now: bool = False) -> None:
    """Print the result of a command, as one line on stdout; at once if more work follows."""
    print(printable(str(result)), flush=now)


def _flush() -> None:
    """Flush stdout, so that a full disk is reported while errors can still be raised."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        raise OutputError(f"The result cannot be printed ({reason(error)}).") from error


def _fail(message: str) -> NoReturn:
    print_error(message)
    _discard_stdout()
    interrupts.leave(2)
    raise SystemExit(2) from None


def print_error(message: str) -> None:
    """Print a mistake as one line on stderr."""
    print(f"error: {short(printable(message), MOST)}", file=sys.stderr)


def _discard_stdout() -> None:
    # else Python would flush the rest when it ends, fail again, and print a traceback
    with contextlib.suppress(ClusterNetError, OSError):
        _flush()
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _log_to_stderr(verbosity: int) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("clusternet").setLevel(_LEVELS[verbosity])


def _interrupted(state: str) -> str:
    return f"interrupted; {short(printable(state), MOST)}" if state else "interrupted."
