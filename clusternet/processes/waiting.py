"""Wait for work in other threads and processes, and answer signals meanwhile."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from clusternet.processes.interrupts import interrupts

Result = TypeVar("Result")

_LOOK_EVERY = 0.1  # seconds
# Seconds before a signal is passed on to the child. A terminal sends Ctrl-C to the child as well,
# and a second signal would end it at once.
_PASS_ON_AFTER = 1.5


def result_of(future: Future[Result]) -> Result:
    """Return the result of a future, or raise what it raised.

    Raises:
        KeyboardInterrupt: if a signal has asked to stop; the future is left as it is.
    """
    if interrupts.is_answering:
        interrupts.check()
        while not future.done():
            wait([future], _LOOK_EVERY)
            interrupts.check()
    return future.result()


def run_aside(function: Callable[[], Result]) -> Result:
    """Run a long call of a library in a thread, so that a signal need not wait for its end.

    After a signal the thread runs on until the process ends. So the function must open and close
    its own files, and use none that the caller closes.

    Raises:
        KeyboardInterrupt: if a signal has asked to stop.
    """
    if not interrupts.is_answering:
        return function()
    future: Future[Result] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=work, name="aside", daemon=True).start()
    return result_of(future)


def run_command_line(command: Sequence[str], folder: Path) -> int:
    """Run a script of this package in ``folder``, stop it if we are, and return its exit status.

    Raises:
        KeyboardInterrupt: if a signal has asked to stop and the program did not notice.
    """
    with interrupts.listening(), subprocess.Popen(command, cwd=folder) as child:  # noqa: S603
        while child.poll() is None and not interrupts.requested:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_LOOK_EVERY)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_PASS_ON_AFTER)
        if child.poll() is None and os.name != "nt":  # on Windows, terminate kills
            child.terminate()
        return child.wait()
