"""The processes of a Ray cluster that do pieces of work: they start, end, and are replaced."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from clusternet.distributed.nodes import Needs, greeting, welcomed
from clusternet.distributed.pulse import Pulse
from clusternet.distributed.ray_library import ray
from clusternet.distributed.shares import cores_of_worker, shares_of_nodes
from clusternet.distributed.surroundings import Surroundings
from clusternet.errors import WorkerError
from clusternet.processes.workers import picklable_call

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES = 3
"""Times in a row that a worker may end before it has work."""


class Worker:
    """A process of the cluster. It keeps what its work loads, such as a network."""

    def __init__(self, surroundings: Surroundings) -> None:
        """Set the process up as the command is."""
        surroundings.take_over()

    def greet(self, needs: Needs) -> tuple[str, str]:
        """Answer that this worker has started, see `clusternet.distributed.nodes.greeting`."""
        return greeting(needs)

    def call(self, work: Callable[[Item], Result], item: Item) -> Result:
        """Do a piece of work."""
        return picklable_call(work, item)


class Workers:
    """The workers of a command by number: actors that share the cores of their nodes."""

    def __init__(self, num_workers: int, needs: Needs, pulse: Pulse) -> None:
        """Start none yet.

        Args:
            num_workers: the most that there are at a time.
            needs: of the work; also nodes that join the cluster later are checked.
            pulse: of the cluster.
        """
        self.num_workers, self.pulse = num_workers, pulse
        self._needs = needs
        cores = cores_of_worker(shares_of_nodes(), num_workers)
        self._surroundings = Surroundings.of_command(cores, shares_gpu=True)
        self._actors: dict[int, Any] = {}
        self._greetings: dict[Any, int] = {}  # future -> worker that has not started yet
        self._numbers = itertools.count()
        self._failed = 0  # workers in a row that could not start

    @property
    def greetings(self) -> list[Any]:
        """Futures of the workers that have not started yet, for `welcome`."""
        return list(self._greetings)

    @property
    def ready(self) -> list[int]:
        """The workers that have started."""
        starting = set(self._greetings.values())
        return [number for number in self._actors if number not in starting]

    def start(self, count: int) -> None:
        """Start workers until there are as many.

        Raises:
            WorkerError: if the cluster is gone.
        """
        while len(self._actors) < min(count, self.num_workers):
            self.pulse.check(now=True)
            number = next(self._numbers)
            actor: Any = ray.remote(Worker).options(num_cpus=1)
            self._actors[number] = actor.remote(self._surroundings)
            self._greetings[self._actors[number].greet.remote(self._needs)] = number

    def welcome(self, future: Any) -> None:
        """Take a worker that has started; one that could not is forgotten.

        Raises:
            WorkerError: if several in a row could not.
            ClusterNetError: if its node cannot do the work.
        """
        number = self._greetings.pop(future)
        try:
            welcomed(ray.get(future))
            self._failed = 0
        except ray.exceptions.RayError as error:
            self.end([number])
            self._failed += 1
            if self._failed == TRIES:
                raise WorkerError(
                    f"Ray: {TRIES} workers ended before they had work (out of memory?); start "
                    "nodes with more memory, or fewer workers."
                ) from error

    def submit(self, number: int, work: Callable[[Item], Result], item: Item) -> Any:
        """Give a worker a piece of work; return its future."""
        return self._actors[number].call.remote(work, item)

    def end(self, numbers: Iterable[int]) -> None:
        """End workers, if they have not ended."""
        for number in list(numbers):
            actor = self._actors.pop(number, None)
            if actor is not None:
                ray.kill(actor)
        left = {future: one for future, one in self._greetings.items() if one in self._actors}
        self._greetings = left

    def end_all(self) -> None:
        """End all workers."""
        self.end(self._actors)
