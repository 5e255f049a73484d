"""Processes of a Ray cluster that are formed into a group, and formed anew if one dies."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from clusternet.distributed.coordinator import Coordinator
from clusternet.distributed.member import Ending, Member, Surroundings
from clusternet.distributed.ray_library import ray
from clusternet.distributed.shares import room, share_of_worker, shares_of_nodes
from clusternet.errors import ClusterNetError
from clusternet.messages import one_line
from clusternet.processes.groups import Work
from clusternet.processes.interrupts import interrupts
from clusternet.processes.showing import VARIABLE

Job = TypeVar("Job")

logger = logging.getLogger(__name__)

TRIES = 3
"""Times that a group may lose a member before the command gives up, if it achieves nothing."""
_LOOK_EVERY = 0.2  # seconds
_START = 180.0  # seconds that members may take to start
_REPLACED = 30.0  # seconds in which a cluster may get another node for one that is gone
_LAST_STEP = 60.0  # seconds in which the first member may end its step and say what is saved
_TIDY = 15.0  # seconds in which it may put its files in order after another one has failed


class MemberLost(Exception):
    """A member has died, or lost touch with the others."""


class RayTeam:
    """See `clusternet.processes.groups.Team`."""

    def __init__(self, num_workers: int, min_workers: int | None = None) -> None:
        """Start nothing yet.

        Args:
            num_workers: members of the group.
            min_workers: members with which to go on if the cluster has room for no more; None
                wants them all.
        """
        self._size, self._least = num_workers, min_workers or num_workers
        self._share = share_of_worker(shares_of_nodes(), num_workers)

    def run(self, work: Work[Job], next_job: Callable[[], Job]) -> None:
        """See `clusternet.processes.groups.Team`."""
        job, losses = next_job(), 0
        while True:
            members = self._start()
            try:
                _Attempt(members).run(work, job)
                return
            except MemberLost as lost:
                before, job = job, next_job()
                losses = losses + 1 if job == before else 1
                if losses == TRIES:
                    raise ClusterNetError(
                        f"Training lost a worker {TRIES} times within one epoch "
                        f"({one_line(str(lost))[:90]}); give workers more memory or more stable "
                        "nodes. --resume goes on."
                    ) from lost
                logger.warning("a worker is lost; all go on from the last complete epoch.")

    def _start(self) -> list[Any]:
        """Start members; fewer than wanted if no more start and so few are allowed."""
        surroundings = _surroundings(self._share.cores)
        actor: Any = ray.remote(Member).options(
            num_cpus=self._share.cores, num_gpus=self._share.gpus, scheduling_strategy="SPREAD"
        )
        members = {
            one.ready.remote(): one
            for one in (actor.remote(surroundings) for _ in range(self._size))
        }
        ready: list[Any] = []
        begin = time.monotonic()
        try:
            while len(ready) < self._size and time.monotonic() - begin < self._patience(len(ready)):
                interrupts.check()
                ready, _ = ray.wait(list(members), num_returns=self._size, timeout=_LOOK_EVERY)
        except BaseException:
            _kill(list(members.values()))
            raise
        _kill([members[one] for one in members.keys() - set(ready)])
        started = [members[one] for one in ready]
        if len(started) < self._size:
            self._go_on_with(started)
        return started

    def _patience(self, num_ready: int) -> float:
        """Return the seconds in which another member may start."""
        most = min(room(shares_of_nodes(), self._share), self._size)
        return _START if num_ready < most else _REPLACED

    def _go_on_with(self, started: Sequence[Any]) -> None:
        if len(started) < self._least:
            _kill(started)
            hint = f", or --min_workers {len(started)} to go on with so many" if started else ""
            raise ClusterNetError(
                f"--num_workers {self._size}: the cluster has room for {len(started)} worker(s) "
                f"now (is a node gone, or busy?); complete epochs stay. Add nodes and use "
                f"--resume{hint}."
            )
        logger.warning(
            "the cluster has room for %d of %d workers; training goes on with these, and results "
            "will differ from those of %d.", len(started), self._size, self._size,
        )  # fmt: skip
        self._size = len(started)


class _Attempt:
    """The work of one group, until it is done or a member is lost."""

    def __init__(self, members: list[Any]) -> None:
        self._members = members
        node = ray.get_runtime_context().get_node_id()
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=True)
        actor: Any = ray.remote(Coordinator)
        self._coordinator = actor.options(num_cpus=0, scheduling_strategy=here).remote(len(members))
        self._listening = self._coordinator.listen.remote()
        self._pending: dict[Any, int] = {}  # futures of members at work, and their ranks

    def run(self, work: Work[Job], job: Job) -> None:
        """Let the members work.

        Raises:
            MemberLost: if one has died.
            ClusterNetError: if the work of one does.
            KeyboardInterrupt: if a signal has asked to stop.
        """
        size = len(self._members)
        for rank, member in enumerate(self._members):
            future = member.work.remote(self._coordinator, rank, size, work, job)
            self._pending[future] = rank
        try:
            while self._pending:
                interrupts.check()
                self._look()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._last_words(_LAST_STEP)) from None
        except BaseException:
            self._last_words(_TIDY)
            raise
        finally:
            self._end()

    def _look(self) -> None:
        """Show what the first member tells, and see whether members have ended."""
        done, _ = ray.wait([*self._pending, self._listening], timeout=_LOOK_EVERY)
        for future in done:
            if future == self._listening:
                self._show()
            else:
                del self._pending[future]
                ending = _result(future)
                if ending.alone or ending.stopped is not None:
                    raise MemberLost(ending.alone)

    def _show(self) -> None:
        try:
            events = ray.get(self._listening)
        except ray.exceptions.RayError as error:
            raise MemberLost(str(error)) from error
        for kind, what in events:
            if kind == "log":
                name, level, message = what
                logging.getLogger(name).log(level, "%s", message)
            elif sys.stderr is not None:
                sys.stderr.write(what)
                sys.stderr.flush()
        self._listening = self._coordinator.listen.remote()

    def _last_words(self, patience: float) -> str:
        """Ask all to stop, and return what the first member then says, if it does in time."""
        self._coordinator.stop.remote()
        first = next((one for one, rank in self._pending.items() if rank == 0), None)
        if first is None or not ray.wait([first], timeout=patience)[0]:
            return ""
        try:
            ending: Ending = ray.get(first)
        except Exception:
            return ""  # it failed or died, too
        return ending.stopped or ""

    def _end(self) -> None:
        """End all processes, and show what was told last."""
        self._coordinator.stop.remote()
        try:
            if ray.wait([self._listening], timeout=_LOOK_EVERY)[0]:
                self._show()
        except MemberLost:
            pass
        _kill([*self._members, self._coordinator])


def _result(future: Any) -> Ending:
    try:
        ending: Ending = ray.get(future)
    except ray.exceptions.RayTaskError as error:
        if not isinstance(error.cause, ClusterNetError):
            error.cause.add_note(str(error))  # where in the program it was
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise MemberLost(str(error)) from error
    return ending


def _kill(actors: Sequence[Any]) -> None:
    for actor in actors:
        ray.kill(actor)


def _surroundings(cores: int) -> Surroundings:
    environment = {
        name: os.environ[name] for name in ("KERAS_BACKEND", VARIABLE) if name in os.environ
    }
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        environment[name] = os.environ.get(name, str(cores))
    size = shutil.get_terminal_size()
    environment |= {"COLUMNS": str(size.columns), "LINES": str(size.lines)}
    level = logging.getLogger("clusternet").getEffectiveLevel()
    has_screen = sys.stderr is not None and sys.stderr.isatty()
    return Surroundings(Path.cwd(), environment, level, has_screen)
