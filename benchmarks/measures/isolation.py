"""Fresh processes and clocks, so that measurements do not influence each other."""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Figures = dict[str, Any]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def isolated(measure: Callable[..., Figures], **arguments: Any) -> Figures:
    """Call a measurement in a fresh process; add its peak memory in GiB."""
    spawn = multiprocessing.get_context("spawn")  # fork after TensorFlow or faiss hangs
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(with_peak, measure, arguments).result()


def with_peak(measure: Callable[..., Figures], arguments: dict[str, Any]) -> Figures:
    """Call a measurement here; add the peak memory of this process in GiB."""
    figures = measure(**arguments)
    return {**figures, "peak_gib": gib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)}


def gib(max_rss: int) -> float:
    """Return the peak memory that the system reports, in GiB."""
    return max_rss / (2**30 if sys.platform == "darwin" else 2**20)


@dataclass
class Clock:
    """Times every call of one kind of work.

    ``wall`` is what a user waits for. ``busy`` is processor time over the number of cores: what
    the wait would be on an otherwise idle machine if all cores worked all the time. Other
    programs disturb it little, so shares of the machine's limit are computed from it.
    """

    wall: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time what is done inside."""
        wall, busy = time.perf_counter(), time.process_time()
        yield
        self.wall.append(time.perf_counter() - wall)
        self.busy.append((time.process_time() - busy) / CORES)

    def total(self) -> tuple[float, float]:
        """Return (wall, busy) seconds of all calls, each taken as a median one.

        The first call traces, which happens once a run.
        """
        return _settled(self.wall), _settled(self.busy)

    def best(self) -> tuple[float, float]:
        """Return (wall, busy) seconds of the fastest call."""
        return min(self.wall), min(self.busy)


def _settled(times: list[float]) -> float:
    return statistics.median(times) * len(times) if times else 0.0


def repeat(call: Callable[[], object], times: int = 3) -> Clock:
    """Call once to warm up, then time the calls."""
    call()
    clock = Clock()
    for _ in range(times):
        with clock.running():
            call()
    return clock


def epoch_figures(
    wall: dict[str, float], busy: dict[str, float], patches: int, labelled: int
) -> Figures:
    """Return the figures of an epoch from the seconds a patch of each phase.

    Args:
        wall: by the clock.
        busy: see `Clock`.
        patches: that were timed.
        labelled: pixels of a patch that get labels.
    """
    return {
        "patches": patches,
        "labelled": labelled,
        "wall": wall,
        "busy": busy,
        "wall_per_patch": sum(wall.values()),
        "busy_per_patch": sum(busy.values()),
    }
