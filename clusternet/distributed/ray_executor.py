"""Pieces of work on the workers of a Ray cluster: bounded, retried, the same results."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import Any, TypeVar

from clusternet.distributed.ray_library import ray
from clusternet.errors import ClusterNetError
from clusternet.process_setup import prepare_process
from clusternet.processes.executors import in_order
from clusternet.processes.interrupts import interrupts
from clusternet.processes.workers import picklable_call

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES = 3
"""Times that a piece of work may end its worker before the command gives up."""
_AHEAD = 2  # pieces that a worker has at a time: the next one is there when one is done
_LOOK_EVERY = 0.1  # seconds


class Worker:
    """A process of the cluster. It keeps what its work loads, such as a network."""

    def __init__(self) -> None:
        """Set the process up as the commands do."""
        prepare_process()

    def call(self, work: Callable[[Item], Result], item: Item) -> Result:
        """Do a piece of work."""
        return picklable_call(work, item)


class RayExecutor:
    """Does pieces of work on a Ray cluster; see `clusternet.processes.executors.Executor`.

    Every worker is an actor of one core. If it or its node dies, another one takes its work.
    """

    def __init__(self, num_workers: int) -> None:
        """Take the number of workers; they start with the first work."""
        self._num_workers = num_workers
        self._workers: list[Any] = []

    @property
    def num_workers(self) -> int:
        """Pieces of work that are done at the same time."""
        return self._num_workers

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
        one. So memory does not grow with their number.
        """
        flow = _Flow(self, work, enumerate(items), ordered, name)
        with closing(flow.results()) as results:
            yield from in_order(results) if ordered else results

    def worker(self, number: int) -> Any:
        """Return a worker, and start it if need be."""
        while len(self._workers) <= number:
            self._workers.append(self._start())
        return self._workers[number]

    def replace(self, number: int) -> None:
        """Start another worker in the place of one that died."""
        ray.kill(self._workers[number])
        self._workers[number] = self._start()

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            ray.kill(worker)
        self._workers = []

    @staticmethod
    def _start() -> Any:
        return ray.remote(Worker).options(num_cpus=1).remote()


class _Flow:
    """The pieces of one call of `RayExecutor.map` that are under way."""

    def __init__(
        self,
        executor: RayExecutor,
        work: Callable[[Any], Any],
        items: Iterator[tuple[int, Any]],
        ordered: bool,
        name: Callable[[Any], str],
    ) -> None:
        self._executor, self._work, self._name = executor, work, name
        self._items, self._ordered = items, ordered
        self._again: deque[tuple[int, Any]] = deque()  # work of workers that died
        self._under_way: dict[Any, tuple[int, Any, int]] = {}  # future -> index, item, worker
        self._deaths: Counter[int] = Counter()  # by item
        self._unfinished: set[int] = set()  # indexes taken that have no result yet
        self._num_taken = 0
        self._most = _AHEAD * executor.num_workers

    def results(self) -> Generator[tuple[int, Any], None, None]:
        """Yield results as they come."""
        self._fill()
        try:
            while self._under_way:
                interrupts.check()
                done, _ = ray.wait(list(self._under_way), timeout=_LOOK_EVERY)
                for future in done:
                    if future in self._under_way:  # its worker did not die meanwhile
                        yield from self._take(future)
                self._fill()
        finally:
            for future in self._under_way:
                ray.cancel(future, recursive=False)

    def _fill(self) -> None:
        while len(self._under_way) < self._most:
            following = self._following()
            if following is None:
                return
            index, item = following
            busy = Counter(number for _, _, number in self._under_way.values())
            number = min(range(self._executor.num_workers), key=lambda each: busy[each])
            future = self._executor.worker(number).call.remote(self._work, item)
            self._under_way[future] = index, item, number

    def _following(self) -> tuple[int, Any] | None:
        if self._again:
            return self._again.popleft()
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
        except ray.exceptions.RayError:
            self._worker_died(index, item, number)
            return
        self._unfinished.discard(index)
        yield index, result

    def _worker_died(self, index: int, item: Any, number: int) -> None:
        """Give the work of a worker that died to another one."""
        self._deaths[index] += 1
        if self._deaths[index] == TRIES:
            raise ClusterNetError(
                f"{self._name(item)}: the worker that had it ended {TRIES} times (out of memory, "
                "or its node is gone?); start nodes with more memory, or fewer workers."
            )
        self._again.append((index, item))
        lost = [future for future, (_, _, owner) in self._under_way.items() if owner == number]
        for future in lost:  # they were not at work: this does not count as their failure
            other, waiting, _ = self._under_way.pop(future)
            self._again.append((other, waiting))
        self._executor.replace(number)
