"""A group of processes whose members are threads of this one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np


class ThreadGroup:
    """Keeps the promises of `clusternet.processes.groups.Group`."""

    def __init__(self, rank: int, size: int, meeting: threading.Barrier, table: list[Any]) -> None:
        self.rank, self.size = rank, size
        self._meeting, self._table = meeting, table

    def _exchange(self, value: Any) -> list[Any]:
        self._table[self.rank] = value
        self._meeting.wait(120)
        values = list(self._table)
        self._meeting.wait(120)
        return values

    def once(self, compute: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return self._exchange(compute(*args, **options) if self.rank == 0 else None)[0]

    def gather(self, values: Sequence[Any]) -> list[Any]:
        return [one for row in zip(*self._exchange(list(values)), strict=True) for one in row]

    def sum(self, vector: np.ndarray) -> np.ndarray:
        total = np.zeros_like(vector)
        for part in self._exchange(vector.copy()):
            total = total + part
        return total


def in_threads(size: int, work: Callable[[ThreadGroup], Any]) -> list[Any]:
    """Return what ``work`` returns in each member of a group."""
    meeting, table = threading.Barrier(size), [None] * size

    def member(rank: int) -> Any:
        try:
            return work(ThreadGroup(rank, size, meeting, table))
        except BaseException:
            meeting.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(member, rank) for rank in range(size)]
        errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None and not isinstance(error, threading.BrokenBarrierError):
                raise error
        return [future.result() for future in futures]
