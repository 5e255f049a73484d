"""Where independent pieces of work are done: processes of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from clusternet.processes.workers import map_unordered

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """Does independent pieces of work side by side."""

    @property
    def num_workers(self) -> int:
        """Pieces of work that are done at the same time."""

    def map(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        ordered: bool = False,
        name: Callable[[Item], str] = str,
    ) -> Generator[tuple[int, Result], None, None]:
        """Yield (index of the item, ``work(item)``) as results come, or in order.

        Args:
            work: a function of a module, so that other processes can import it.
            items: what to work on; taken as late as possible, so that few are in memory.
            ordered: yield results in the order of the items.
            name: names an item in messages, such as its raster and window.

        Raises:
            WorkerError: if its workers end again and again.
            ClusterNetError: if the work raises one.
            KeyboardInterrupt: if a signal has asked to stop.
        """


@dataclass(frozen=True)
class LocalProcesses:
    """Processes of this machine, which start for each call and end with it."""

    num_workers: int

    def map(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        ordered: bool = False,
        name: Callable[[Item], str] = str,
    ) -> Generator[tuple[int, Result], None, None]:
        """See `Executor`; results that are early wait in memory if ``ordered``."""
        results = map_unordered(work, list(items), self.num_workers)
        yield from in_order(results) if ordered else results


def in_order(results: Iterable[tuple[int, Result]]) -> Generator[tuple[int, Result], None, None]:
    """Yield (index, result) by ascending index, without gaps, from pairs in any order."""
    early: dict[int, Result] = {}
    following = 0
    for index, result in results:
        early[index] = result
        while following in early:
            yield following, early.pop(following)
            following += 1
