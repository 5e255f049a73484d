"""The work of one group of processes, until it is done or one of them is lost."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from clusternet.distributed.coordinator import Coordinator
from clusternet.distributed.member import Ending
from clusternet.distributed.pulse import Pulse, wait_at_end
from clusternet.distributed.ray_library import ray
from clusternet.errors import ClusterNetError
from clusternet.processes.groups import Work

Job = TypeVar("Job")

_LOOK_EVERY = 0.2  # seconds
_NOTICE = 5.0  # seconds in which Ray tells of a death that the other members have noticed
_LAST_STEP = 60.0  # seconds in which the first member may end its step and say what is saved
_TIDY = 15.0  # seconds in which it may put its files in order after another one has failed
_END = 5.0  # seconds in which processes that are killed end


class MemberLost(Exception):
    """A member has died, or lost touch with the others; the message names it and its node."""


class Attempt:
    """The work of one group, until it is done or a member is lost."""

    def __init__(self, members: Mapping[Any, str], pulse: Pulse) -> None:
        """Take the members, an actor each with the place it runs at, and the cluster's pulse."""
        self._members, self._pulse = list(members), pulse
        places = members.values()
        self._names = [f"worker {rank} on {place}" for rank, place in enumerate(places)]
        node = ray.get_runtime_context().get_node_id()
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=True)
        actor: Any = ray.remote(Coordinator).options(
            num_cpus=0,
            scheduling_strategy=here,
            max_concurrency=2 * len(members) + 10,  # a member waits in two calls at a time
        )
        self._coordinator = actor.remote(len(members))
        self._listening = self._coordinator.listen.remote()
        self._pending: dict[Any, int] = {}  # futures of members at work, and their ranks

    def run(self, work: Work[Job], job: Job) -> None:
        """Let the members work. Whatever ends it, none is at work any more.

        Raises:
            MemberLost: if one has died.
            ClusterNetError: if the work of one does, or the cluster is gone.
            KeyboardInterrupt: if a signal has asked to stop.
        """
        size = len(self._members)
        for rank, member in enumerate(self._members):
            future = member.work.remote(self._coordinator, rank, size, work, job)
            self._pending[future] = rank
        try:
            while self._pending:
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
        for future in self._pulse.wait([*self._pending, self._listening], _LOOK_EVERY):
            if future == self._listening:
                self._show()
                continue
            rank = self._pending.pop(future)
            ending = self._result(future, rank)
            if ending.alone or ending.stopped is not None:
                raise MemberLost(self._died() or self._names[rank])

    def _result(self, future: Any, rank: int) -> Ending:
        try:
            ending: Ending = ray.get(future)
        except ray.exceptions.RayTaskError as error:
            if not isinstance(error.cause, ClusterNetError):
                error.cause.add_note(str(error))  # where in the program it was
            raise error.cause from None
        except (ray.exceptions.RayError, OSError) as error:  # OSError: between us and our node
            raise MemberLost(self._names[rank]) from error
        return ending

    def _died(self) -> str:
        """Return the name of the member that the others have lost, once Ray tells of it."""
        until = time.monotonic() + _NOTICE
        while self._pending and time.monotonic() < until:
            for future in self._pulse.wait(list(self._pending), _LOOK_EVERY):
                rank = self._pending.pop(future)
                try:
                    self._result(future, rank)
                except MemberLost as lost:
                    return str(lost)
        return ""

    def _show(self) -> None:
        try:
            events = ray.get(self._listening)
        except (ray.exceptions.RayError, OSError) as error:
            raise MemberLost("the process where workers meet") from error
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
        if first is None or not wait_at_end([first], patience):
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
            if wait_at_end([self._listening], _LOOK_EVERY):
                self._show()
        except MemberLost:
            pass
        end_actors([*self._members, self._coordinator])
        wait_at_end(list(self._pending), _END)


def end_actors(actors: Iterable[Any]) -> None:
    """End processes at once."""
    for actor in actors:
        ray.kill(actor)
