"""A group whose members are processes of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import numpy as np

from clusternet.distributed.ray_library import ray
from clusternet.processes.interrupts import interrupts
from clusternet.types import FloatArray

Given = ParamSpec("Given")
Value = TypeVar("Value")

_LOOK_EVERY = 0.2  # seconds
_AT_ONCE = 2**25  # bytes of a vector that are in the object stores at a time


class OutOfTouch(Exception):
    """A member, or what connects members, has died."""


@contextmanager
def _in_touch() -> Iterator[None]:
    """Tell what Ray raises from errors of the work that members do."""
    try:
        yield
    except (ray.exceptions.RayError, OSError) as error:  # OSError: this member's own node has died
        raise OutOfTouch(str(error)) from error


class RayGroup:
    """See `clusternet.processes.groups.Group`.

    Every call waits for all members, and answers signals meanwhile. If a member dies, the others
    get `OutOfTouch`, or wait until the command ends them.
    """

    def __init__(self, rank: int, size: int, coordinator: Any) -> None:
        """Take the place of a member and the actor where all meet, see `Coordinator`."""
        self._rank, self._size, self._coordinator = rank, size, coordinator
        self._number = 0  # of the next exchange
        self._kept: Sequence[Any] = ()  # what others may still fetch
        self.bytes_sent = 0
        """Of all sums so far."""

    @property
    def rank(self) -> int:
        """See `Group`."""
        return self._rank

    @property
    def size(self) -> int:
        """See `Group`."""
        return self._size

    def once(
        self, compute: Callable[Given, Value], *args: Given.args, **options: Given.kwargs
    ) -> Value:
        """See `Group`."""
        if self._rank == 0:
            value = compute(*args, **options)
            with _in_touch():
                self._swap([ray.put(value)] * self._size)
            return value
        with _in_touch():
            found: Value = self._fetch(self._swap([None] * self._size)[:1])[0]
        return found

    def gather(self, values: Sequence[Value]) -> list[Value]:
        """See `Group`."""
        with _in_touch():
            lists = self._exchange([ray.put(list(values))] * self._size, list(values))
        return [value for row in zip(*lists, strict=True) for value in row]

    def sum(self, vector: FloatArray) -> FloatArray:
        """See `Group`.

        Each member adds up one part of the vectors, in the order of ranks, and gives its sum to
        all. So a member sends about twice the length of the vector, however many members there are.
        """
        blocks = np.array_split(vector, max(1, -(-vector.nbytes // _AT_ONCE)))
        with _in_touch():
            return np.concatenate([self._sum_block(block) for block in blocks])

    def _sum_block(self, vector: FloatArray) -> FloatArray:
        parts = np.array_split(vector, self._size)
        others = [None if rank == self._rank else ray.put(p) for rank, p in enumerate(parts)]
        total, *more = self._exchange(others, parts[self._rank])
        for part in more:
            total = total + part
        self.bytes_sent += vector.nbytes - parts[self._rank].nbytes
        self.bytes_sent += total.nbytes * (self._size - 1)
        return np.concatenate(self._exchange([ray.put(total)] * self._size, total))

    def _exchange(self, row: Sequence[Any], own: Any) -> list[Any]:
        """Return the values that all members have for this one, of which its own is at hand."""
        references = self._swap(row)
        found = self._fetch(references[: self._rank] + references[self._rank + 1 :])
        return [*found[: self._rank], own, *found[self._rank :]]

    def _swap(self, row: Sequence[Any]) -> list[Any]:
        """Give each member a reference, and return those that they have for this one."""
        coming = self._coordinator.swap.remote(self._number, self._rank, list(row))
        self._number += 1
        (references,) = self._fetch([coming])
        # All have come, so all have fetched what the last exchange was about.
        self._kept = row
        return list(references)

    def _fetch(self, references: Sequence[Any]) -> list[Any]:
        waiting = list(references)
        while waiting:
            interrupts.check()
            _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=_LOOK_EVERY)
        return list(ray.get(list(references)))
