"""Pieces of work on the workers of a Ray cluster: bounded, retried, the same results."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import Any, TypeVar

from clusternet.distributed.nodes import Needs
from clusternet.distributed.pulse import Pulse, wait_at_end
from clusternet.distributed.ray_library import ray
from clusternet.distributed.ray_workers import Workers
from clusternet.errors import WorkerError
from clusternet.processes.executors import in_order

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES = 3
"""Times that a piece of work may end its worker before the command gives up."""
_AHEAD = 2  # pieces that a worker has at a time: the next one is there when one is done
_LOOK_EVERY = 0.1  # seconds
_TIDY = 5.0  # seconds in which workers that are killed end
_PATIENCE = 600.0  # seconds without any worker; a cluster may be busy, or start nodes first


class RayExecutor:
    """Does pieces of work on a Ray cluster; see `clusternet.processes.executors.Executor`.

    If a worker or its node dies, another one takes its work. A worker gets work when it has
    started: in a cluster that has lost a node, some never do.
    """

    def __init__(self, num_workers: int, needs: Needs, pulse: Pulse) -> None:
        """Start nothing yet.

        Args:
            num_workers: workers, which start with the first work.
            needs: of the work.
            pulse: of the cluster.
        """
        self._workers = Workers(num_workers, needs, pulse)

    @property
    def num_workers(self) -> int:
        """Pieces of work that are done at the same time."""
        return self._workers.num_workers

    def map(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        ordered: bool = False,
        name: Callable[[Item], str] = str,
    ) -> Generator[tuple[int, Result], None, None]:
        """See `clusternet.processes.executors.Executor`.

        At most ``_AHEAD`` pieces a worker are under way or, if ``ordered``, wait for an earlier
        one. So memory does not grow with their number. If the call ends early, the workers that
        are still at work end with it, as their work may write where the caller cleans up.
        """
        flow = _Flow(self._workers, work, enumerate(items), ordered, name)
        with closing(flow.results()) as results:
            yield from in_order(results) if ordered else results

    def close(self) -> None:
        """End all workers."""
        self._workers.end_all()


class _Flow:
    """The pieces of one call of `RayExecutor.map` that are under way."""

    def __init__(
        self,
        workers: Workers,
        work: Callable[[Any], Any],
        items: Iterator[tuple[int, Any]],
        ordered: bool,
        name: Callable[[Any], str],
    ) -> None:
        self._workers, self._work, self._name = workers, work, name
        self._items, self._ordered = items, ordered
        self._waiting: deque[tuple[int, Any]] = deque()  # for a worker
        self._under_way: dict[Any, tuple[int, Any, int]] = {}  # future -> index, item, worker
        self._deaths: Counter[int] = Counter()  # by item
        self._unfinished: set[int] = set()  # indexes taken that have no result yet
        self._num_taken = 0
        self._most = _AHEAD * workers.num_workers
        self._last_seen = time.monotonic()  # a worker that had started

    def results(self) -> Generator[tuple[int, Any], None, None]:
        """Yield results as they come."""
        self._fill()
        try:
            while self._under_way or self._waiting:
                futures = [*self._under_way, *self._workers.greetings]
                for future in self._workers.pulse.wait(futures, _LOOK_EVERY):
                    if future in self._under_way:  # its worker did not die meanwhile
                        yield from self._take(future)
                    elif future in self._workers.greetings:
                        self._workers.welcome(future)
                self._fill()
        finally:
            self._end_early()

    def _end_early(self) -> None:
        """End the workers whose results nobody waits for any more, and wait until they have."""
        self._workers.end({number for _, _, number in self._under_way.values()})
        wait_at_end(list(self._under_way), _TIDY)

    def _fill(self) -> None:
        """Take items, and give them to the workers that have started."""
        while len(self._under_way) + len(self._waiting) < self._most:
            following = self._following()
            if following is None:
                break
            self._waiting.append(following)
        self._workers.start(len(self._under_way) + len(self._waiting))
        ready = self._workers.ready
        self._check_patience(bool(ready))
        busy = Counter(number for _, _, number in self._under_way.values())
        while self._waiting and ready:
            number = min(ready, key=lambda each: busy[each])
            if busy[number] == _AHEAD:
                return
            busy[number] += 1
            index, item = self._waiting.popleft()
            future = self._workers.submit(number, self._work, item)
            self._under_way[future] = index, item, number

    def _check_patience(self, any_ready: bool) -> None:
        if any_ready or not self._waiting:
            self._last_seen = time.monotonic()
        elif time.monotonic() - self._last_seen > _PATIENCE:
            raise WorkerError(
                f"Ray: no core of the cluster became free within {_PATIENCE / 60:.0f} minutes; "
                "look at ray status, add nodes, or ask for fewer workers elsewhere."
            )

    def _following(self) -> tuple[int, Any] | None:
        # if ordered, the oldest result is waited for: no others may pile up behind it
        oldest = min(self._unfinished, default=self._num_taken) if self._ordered else None
        if oldest is not None and self._num_taken - oldest >= self._most:
            return None
        following = next(self._items, None)
        if following is not None:
            self._unfinished.add(following[0])
            self._num_taken += 1
        return following

    def _take(self, future: Any) -> Iterator[tuple[int, Any]]:
        index, item, number = self._under_way.pop(future)
        try:
            result = ray.get(future)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except (ray.exceptions.RayError, OSError):  # OSError: between us and our node
            self._worker_died(index, item, number)
            return
        self._unfinished.discard(index)
        yield index, result

    def _worker_died(self, index: int, item: Any, number: int) -> None:
        """Give the work of a worker that died to another one."""
        self._deaths[index] += 1
        if self._deaths[index] == TRIES:
            raise WorkerError(
                f"{self._name(item)}: the worker that had it ended {TRIES} times (out of memory, "
                "or its node is gone?); start nodes with more memory, or fewer workers."
            )
        logger.warning("%s: the worker that had it ended; another one takes it", self._name(item))
        lost = [future for future, (_, _, owner) in self._under_way.items() if owner == number]
        # those behind it were not at work: this does not count as their failure
        again = [(index, item), *(self._under_way.pop(future)[:2] for future in lost)]
        self._waiting.extendleft(reversed(again))
        self._workers.end([number])
