"""A process of a Ray cluster that is a member of a group."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from clusternet.distributed.nodes import Needs, greeting
from clusternet.distributed.ray_group import OutOfTouch, RayGroup
from clusternet.distributed.ray_library import ray
from clusternet.distributed.surroundings import Surroundings
from clusternet.processes.groups import Work
from clusternet.processes.interrupts import interrupts
from clusternet.processes.workers import picklable_call

Job = TypeVar("Job")

logger = logging.getLogger(__name__)
_PACKAGE = logging.getLogger("clusternet")


@dataclass(frozen=True)
class Ending:
    """How the work of a member ended, if not by an error."""

    stopped: str | None = None
    """What it said when it was asked to stop; None if its work is done."""
    alone: str = ""
    """Why it could not go on, if it lost another member."""


class Member:
    """A process that does its part of what its group does."""

    def __init__(self, surroundings: Surroundings) -> None:
        """Set the process up as the command is."""
        surroundings.take_over()
        self._surroundings = surroundings

    def greet(self, needs: Needs) -> tuple[str, str]:
        """Answer that the process has started, see `clusternet.distributed.nodes.greeting`."""
        return greeting(needs)

    def work(self, coordinator: Any, rank: int, size: int, work: Work[Job], job: Job) -> Ending:
        """Do this member's part, see `clusternet.processes.groups.Team`."""
        interrupts.follow(_followed(coordinator))
        group = RayGroup(rank, size, coordinator)
        lost: list[Exception] = []

        def part(job: Job) -> None:
            try:
                work(group, job)
            except OutOfTouch as error:
                lost.append(error)

        with _told(coordinator, self._surroundings, rank):
            try:
                picklable_call(part, job)
            except KeyboardInterrupt as stop:
                return Ending(stopped=str(stop))
            sent = group.bytes_sent / 2**20
            logger.debug("%.1f MB of gradients were sent by each worker", sent)
        return Ending(alone=str(lost[0])) if lost else Ending()


def _followed(coordinator: Any) -> threading.Event:
    """Return what is set when the members are asked to stop, or the command is gone."""
    flag = threading.Event()

    def wait() -> None:
        with suppress(ray.exceptions.RayError):
            ray.get(coordinator.stopped.remote())
        flag.set()

    threading.Thread(target=wait, name="stop", daemon=True).start()
    return flag


@contextmanager
def _told(coordinator: Any, surroundings: Surroundings, rank: int) -> Iterator[None]:
    """Let the command show what the first member logs and draws; the others are silent."""
    if rank:
        _PACKAGE.setLevel(logging.CRITICAL + 1)
        yield
        return
    handler, screen = _ToCommand(coordinator), sys.stderr
    _PACKAGE.addHandler(handler)
    _PACKAGE.setLevel(surroundings.log_level)
    _PACKAGE.propagate = False
    sys.stderr = _Screen(coordinator, surroundings.has_screen)
    try:
        yield
    finally:
        sys.stderr = screen
        _PACKAGE.removeHandler(handler)
        with suppress(ray.exceptions.RayError):  # all that was told before has then arrived
            ray.get(coordinator.tell.remote(("text", "")))


class _ToCommand(logging.Handler):
    """Sends log records to the command."""

    def __init__(self, coordinator: Any) -> None:
        super().__init__()
        self._coordinator = coordinator

    def emit(self, record: logging.LogRecord) -> None:
        about = (record.name, record.levelno, record.getMessage())
        self._coordinator.tell.remote(("log", about))


class _Screen(io.TextIOBase):
    """Sends what progress bars draw to the command."""

    def __init__(self, coordinator: Any, is_terminal: bool) -> None:
        super().__init__()
        self._coordinator, self._is_terminal = coordinator, is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._coordinator.tell.remote(("text", text))
        return len(text)
