"""Processes of a Ray cluster that are formed into a group, and formed anew if one dies."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from clusternet.distributed.attempt import Attempt, MemberLost, end_actors
from clusternet.distributed.member import Member
from clusternet.distributed.nodes import Needs, welcomed
from clusternet.distributed.pulse import Pulse
from clusternet.distributed.ray_library import ray
from clusternet.distributed.shares import room, share_of_worker, shares_of_nodes
from clusternet.distributed.surroundings import Surroundings
from clusternet.errors import WorkerError
from clusternet.processes.groups import Work

Job = TypeVar("Job")

logger = logging.getLogger(__name__)

TRIES = 3
"""Times that a group may lose a member before the command gives up, if it achieves nothing."""
_LOOK_EVERY = 0.2  # seconds
_START = 180.0  # seconds that members may take to start
_REPLACED = 30.0  # seconds in which a cluster may get another node for one that is gone


class RayTeam:
    """See `clusternet.processes.groups.Team`."""

    def __init__(
        self, num_workers: int, min_workers: int | None, needs: Needs, pulse: Pulse
    ) -> None:
        """Start nothing yet.

        Args:
            num_workers: members of the group.
            min_workers: members with which to go on if the cluster has room for no more; None
                wants them all.
            needs: of the work; also nodes that join the cluster later are checked.
            pulse: of the cluster.
        """
        self._size, self._least = num_workers, min_workers or num_workers
        self._needs, self._pulse = needs, pulse
        self._share = share_of_worker(shares_of_nodes(), num_workers)

    def run(self, work: Work[Job], next_job: Callable[[], Job]) -> None:
        """See `clusternet.processes.groups.Team`."""
        job, losses = next_job(), 0
        while True:
            members = self._start()
            try:
                Attempt(members, self._pulse).run(work, job)
                return
            except MemberLost as lost:
                before, job = job, next_job()
                losses = losses + 1 if job == before else 1
                if losses == TRIES:
                    raise WorkerError(
                        f"Training lost a worker {TRIES} times within one epoch (last: {lost}); "
                        "give workers more memory or more stable nodes. --resume goes on."
                    ) from lost
                logger.warning("%s is lost; all go on from the last complete epoch.", lost)

    def _start(self) -> dict[Any, str]:
        """Start members; fewer than wanted if no more start and so few are allowed.

        Returns:
            the actors, and where each runs.
        """
        self._pulse.check(now=True)
        actor: Any = ray.remote(Member).options(
            num_cpus=self._share.cores, num_gpus=self._share.gpus, scheduling_strategy="SPREAD"
        )
        surroundings = Surroundings.of_command(self._share.cores)
        actors = [actor.remote(surroundings) for _ in range(self._size)]
        members = {one.greet.remote(self._needs): one for one in actors}
        try:
            ready = self._greeted(members)
            started = {members[one]: place for one, place in ready.items()}
            end_actors([one for one in actors if one not in started])
            if len(started) < self._size:
                self._go_on_with(len(started))
        except BaseException:
            end_actors(actors)
            raise
        return started

    def _greeted(self, members: Mapping[Any, Any]) -> dict[Any, str]:
        """Wait for members to start; return the greetings that came, and where each is from."""
        ready: list[Any] = []
        begin = time.monotonic()
        while len(ready) < self._size and time.monotonic() - begin < self._patience(len(ready)):
            ready = self._pulse.wait(list(members), _LOOK_EVERY, least=self._size)
        return {one: _place(one) for one in ready}

    def _patience(self, num_ready: int) -> float:
        """Return the seconds in which another member may start."""
        most = min(room(shares_of_nodes(), self._share), self._size)
        return _START if num_ready < most else _REPLACED

    def _go_on_with(self, num_started: int) -> None:
        if num_started < self._least:
            hint = f", or --min_workers {num_started} to go on with so many" if num_started else ""
            raise WorkerError(
                f"--num_workers {self._size}: the cluster has room for {num_started} worker(s) "
                f"now (is a node gone, or busy?); complete epochs stay. Add nodes and use "
                f"--resume{hint}."
            )
        logger.warning(
            "the cluster has room for %d of %d workers; training goes on with these, and results "
            "will differ from those of %d.", num_started, self._size, self._size,
        )  # fmt: skip
        self._size = num_started


def _place(greeting: Any) -> str:
    """Return where a member runs; one that ended at once is found missing when it gets work.

    Raises:
        ClusterNetError: if its node cannot do the work.
    """
    try:
        return f"node {welcomed(ray.get(greeting))}"
    except ray.exceptions.RayError:
        return "an unknown node"
