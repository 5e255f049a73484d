"""Work for worker processes, in a module of its own that loads at once."""

from __future__ import annotations

import time

from clusternet.processes.interrupts import interrupts


def sleep_in_steps(seconds: float) -> None:
    """Sleep, and ask for signals meanwhile."""
    for _ in range(int(seconds / 0.01)):
        time.sleep(0.01)
        interrupts.check()


def sleep_in_one(seconds: float) -> None:
    """Sleep as in a long call of a library."""
    time.sleep(seconds)
