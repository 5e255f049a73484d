"""Processes that do one piece of work together: each calls the same functions at the same time.

The members of a group exchange values only where all of them call the same method of `Group`. Code
that is written for a group runs in a single process too, which is the group `ALONE`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:  # it loads NumPy, which --help of a command does without
    from clusternet.types import FloatArray

Given = ParamSpec("Given")
Value = TypeVar("Value")
Item = TypeVar("Item")
Result = TypeVar("Result")
Job = TypeVar("Job", contravariant=True)


class Group(Protocol):
    """The processes of a group, as one of them sees it."""

    @property
    def rank(self) -> int:
        """The number of this member, from 0."""

    @property
    def size(self) -> int:
        """The number of members."""

    def once(
        self, compute: Callable[Given, Value], *args: Given.args, **options: Given.kwargs
    ) -> Value:
        """Call a function in the first member only, and return its result in every member."""

    def gather(self, values: Sequence[Value]) -> list[Value]:
        """Return the values of all members: the first one of each by rank, the second, and so on.

        Args:
            values: of this member; every member has as many.
        """

    def sum(self, vector: FloatArray) -> FloatArray:
        """Return the sum of the vectors of all members, bitwise the same in each of them.

        Args:
            vector: (numbers,) float32 of this member.
        """


class Alone:
    """The group of one process."""

    rank, size = 0, 1

    def once(
        self, compute: Callable[Given, Value], *args: Given.args, **options: Given.kwargs
    ) -> Value:
        """See `Group`."""
        return compute(*args, **options)

    def gather(self, values: Sequence[Value]) -> list[Value]:
        """See `Group`."""
        return list(values)

    def sum(self, vector: FloatArray) -> FloatArray:
        """See `Group`."""
        return vector


ALONE = Alone()


@dataclass(frozen=True)
class GroupExecutor:
    """Shares pieces of work among the members of a group, all of which get all results.

    See `clusternet.processes.executors.Executor`; results always come in order.
    """

    group: Group

    @property
    def num_workers(self) -> int:
        """Pieces of work that are done at the same time."""
        return self.group.size

    def map(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        ordered: bool = False,
        name: Callable[[Item], str] = str,
    ) -> Generator[tuple[int, Result], None, None]:
        """See `clusternet.processes.executors.Executor`; each member gives the same arguments."""
        index, left = 0, iter(items)
        while few := list(islice(left, self.group.size)):  # one for each member
            own = [work(item) for item in few[self.group.rank : self.group.rank + 1]]
            for results in self.group.gather([own]):
                for result in results:
                    yield index, result
                    index += 1


class Work(Protocol[Job]):
    """What every member of a group does; a function of a module, so that all can import it."""

    def __call__(self, group: Group, job: Job) -> None:
        """Do this member's part."""


class Team(Protocol):
    """Processes that can be formed into a group."""

    def run(self, work: Work[Job], next_job: Callable[[], Job]) -> None:
        """Let a group work, and begin again if a member dies.

        Args:
            work: ends in all members when the work is done.
            next_job: returns what to do now. It is asked at each beginning, when no member is at
                work. A job that equals the one before means that nothing was achieved.

        Raises:
            ClusterNetError: if the work does, or members die again and again.
            KeyboardInterrupt: if a signal has asked to stop.
        """
