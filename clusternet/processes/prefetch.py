"""Do work ahead of its consumer in a few threads, in order, with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from clusternet.processes.waiting import result_of

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int = 2
) -> Generator[Result, None, None]:
    """Yield ``function(item)`` for each item, in order, computed up to ``ahead`` items early.

    An exception of the function is raised where its result is due. No thread is at work any more
    when the generator has ended or was closed.

    Raises:
        KeyboardInterrupt: if a signal has asked to stop.
    """
    # A pool of our own, because the workers of Keras have been seen to hang after an epoch.
    source = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="prefetch") as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            waiting.extend(pool.submit(function, item) for item in islice(source, workers + ahead))
            while waiting:
                result = result_of(waiting.popleft())
                waiting.extend(pool.submit(function, item) for item in islice(source, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()
