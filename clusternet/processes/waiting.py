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
_PASS_ON_AFTER = 1.5  # seconds: most signals reach the child, too, and two would end it at once


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
    """Run a long call of a library that cannot be stopped; asked to stop, leave it behind.

    It then goes on in a thread of its own until the process ends. So it must not use what the
    caller closes: it opens and closes its own files.

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
    """Run a program of ours in ``folder`` and return its exit status; it is stopped with us.

    Raises:
        KeyboardInterrupt: if a signal has asked to stop and the program did not notice.
    """
    with interrupts.listening(), subprocess.Popen(command, cwd=folder) as child:  # noqa: S603
        while child.poll() is None and not interrupts.requested:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_LOOK_EVERY)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_PASS_ON_AFTER)
        if child.poll() is None and os.name != "nt":  # where it would be killed
            child.terminate()
        return child.wait()
