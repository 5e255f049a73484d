"""The progress bar of every long loop, which is also where the loop answers signals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from clusternet.processes.interrupts import interrupts


class Progress(tqdm):  # type: ignore[type-arg]  # generic in its stubs, but not at run time
    """A bar, silent where there is no terminal; stops its loop when a signal has asked to."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take the arguments of tqdm."""
        super().__init__(*args, disable=None, **options)  # type: ignore[call-overload]

    def __iter__(self) -> Iterator[Any]:
        """Yield the items.

        Raises:
            KeyboardInterrupt: after an item, if a signal has asked to stop.
        """
        for item in super().__iter__():
            yield item
            interrupts.check()

    def update(self, n: float | None = 1) -> bool | None:
        """Count a step that is done.

        Raises:
            KeyboardInterrupt: if a signal has asked to stop.
        """
        interrupts.check()
        return super().update(n)
