"""Spread work over processes that start afresh, end with their parent, and stop on Ctrl-C."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TypeVar

from clusternet.errors import ClusterNetError, SettingsError
from clusternet.foreign_errors import describe, is_foreign
from clusternet.process_setup import prepare_process

Item = TypeVar("Item")
Result = TypeVar("Result")


def resolve_workers(workers: int | None) -> int:
    """Return the number of processes: the user's, else the number of cores."""
    if workers is None:
        return os.cpu_count() or 1
    if workers < 1:
        raise SettingsError(f"Setting workers: expected a number above 0, received {workers}.")
    return workers


def map_unordered(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[int, Result]]:
    """Yield (place of the item, ``work(item)``) as results come.

    ``work`` must be importable by name, and it and the items must pickle. One worker means this
    process. Whatever ends the loop, no worker is at work any more when it has ended.

    Raises:
        ClusterNetError: if a worker is ended from outside, or ``work`` raises what
            `clusternet.foreign_errors` lists; else what ``work`` raises.
    """
    workers = min(workers, len(items))
    if workers < 2:
        yield from enumerate(map(partial(_call, work), items))
        return
    # "spawn", because forking a process that has loaded TensorFlow or faiss hangs
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        places = {pool.submit(_call, work, item): place for place, item in enumerate(items)}
        for future in as_completed(places):
            yield places[future], future.result()
    except BrokenProcessPool as error:
        raise ClusterNetError(
            "A worker process was ended from outside (out of memory?) or could not start (a "
            'script needs if __name__ == "__main__":); --workers 1 does without workers.'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _call(work: Callable[[Item], Result], item: Item) -> Result:
    """Do the work; raise nothing that cannot travel from one process to another."""
    try:
        return work(item)
    except Exception as error:
        if isinstance(error, ClusterNetError) or type(error).__module__ == "builtins":
            raise
        if is_foreign(error):
            raise ClusterNetError(describe(error)) from error
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def _start_worker() -> None:
    prepare_process()
    # The parent alone answers Ctrl-C; and if it is killed, its workers must not stay behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
