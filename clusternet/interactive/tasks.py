"""Long work that a page has asked for: how far it is, and whether it is still wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from clusternet.errors import ClusterNetError

_Item = TypeVar("_Item")


class Cancelled(ClusterNetError):
    """A person has cancelled the work."""


class Task:
    """One piece of work; safe to use from any thread."""

    def __init__(self, text: str) -> None:
        """Begin with nothing done."""
        self.text = text
        """What is being done, for the page."""
        self.done, self.total = 0, 0
        self.num_written = 0
        """Files that are complete; they stay if the rest is cancelled."""
        self._cancelled = threading.Event()

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1; None if that is not known."""
        return min(self.done / self.total, 1.0) if self.total else None

    @property
    def is_cancelled(self) -> bool:
        """True once nobody wants the work any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """End the work at its next step."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise Cancelled if the work is no longer wanted."""
        if not self.is_cancelled:
            return
        if not self.num_written:
            raise Cancelled("Cancelled; nothing was changed.")
        files = "file is" if self.num_written == 1 else "files are"
        raise Cancelled(f"Cancelled; {self.num_written} {files} complete, the others unchanged.")

    def begin(self, text: str, total: int = 0) -> None:
        """Begin a part of the work; its progress is not known without a total."""
        self.check()
        self.text, self.done, self.total = text, 0, total

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than the work is wanted."""
        self._cancelled.wait(seconds)
        self.check()

    def follow(self, items: Iterable[_Item], size: Callable[[_Item], int]) -> Iterator[_Item]:
        """Yield items and count them; ``size`` tells how much of the total one is.

        Raises:
            Cancelled: before the next item, if the work is no longer wanted.
        """
        iterator = iter(items)
        close = getattr(iterator, "close", None)
        try:
            for item in iterator:
                self.check()
                yield item
                self.done += size(item)
            self.check()
        finally:
            if close is not None:
                close()  # threads that read ahead end now
