"""Where the processor time of a command goes: start, reading, writing, computing, other processes.

``--verbose`` prints it, and `benchmarks/journey.py` reads that line.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Phase = Literal["start", "reading", "writing"]


class Phases:
    """The processor seconds of this process, by phase. Use the one instance, `phases`.

    The start lasts until the first pixels or labels are read or written; what loads a library or
    builds a network later counts as start, too. Computing is what is left.
    """

    def __init__(self) -> None:
        """Begin with the start."""
        self._seconds: dict[Phase, float] = {"start": 0.0, "reading": 0.0, "writing": 0.0}
        self._is_starting = True
        self._lock = threading.Lock()
        self._here = threading.local()

    @contextmanager
    def during(self, phase: Phase) -> Iterator[None]:
        """Count what this thread does within the block, or a decorated function, as a phase.

        Inside of a block of another phase it does nothing.
        """
        if getattr(self._here, "is_counted", False) or (phase == "start" and self._is_starting):
            yield
            return
        self._end_start()
        self._here.is_counted = True
        begin = time.thread_time()
        try:
            yield
        finally:
            self._here.is_counted = False
            with self._lock:
                self._seconds[phase] += time.thread_time() - begin

    def _end_start(self) -> None:
        with self._lock:
            if self._is_starting:
                self._is_starting = False
                self._seconds["start"] = time.process_time()

    def summary(self) -> str:
        """Return the seconds of each phase so far."""
        self._end_start()
        spent = sum(os.times()[2:4])  # of processes that this one has started, and that have ended
        total = time.process_time()
        parts = self._seconds | {"computing": max(0.0, total - sum(self._seconds.values()))}
        parts["other processes"] = spent
        told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items())
        return f"{total + spent:.2f} s of processor time ({told})"


phases = Phases()
