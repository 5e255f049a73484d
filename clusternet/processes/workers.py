"""Spread work over worker processes, which stop when their parent stops or ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.process import BaseProcess
from queue import Empty, SimpleQueue
from typing import TypeVar

from clusternet.errors import ClusterNetError, SettingsError, WorkerError
from clusternet.foreign_errors import describe, is_foreign
from clusternet.process_setup import prepare_process
from clusternet.processes.interrupts import SIGNALS, Flag, interrupts
from clusternet.processes.machine import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK_EVERY = 0.1  # seconds
_LAST_STEP_SECONDS = 0.5  # time in which workers may end by themselves


def resolve_workers(workers: int | None) -> int:
    """Return the number of processes: the user's, else the number of cores."""
    if workers is None:
        return usable_cores()
    if workers < 1:
        raise SettingsError(f"Setting workers: expected a number above 0, received {workers}.")
    return workers


def map_unordered(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[int, Result]]:
    """Yield (index of the item, ``work(item)``) as results come.

    ``work`` must be importable by name, and it and the items must pickle. One worker means this
    process. Whatever ends the loop, no worker is at work any more when it has ended.

    Raises:
        WorkerError: if a worker is ended from outside.
        ClusterNetError: if ``work`` raises what `clusternet.foreign_errors` lists; else what
            ``work`` raises.
        KeyboardInterrupt: if a signal has asked to stop. It is raised in the workers, too, where
            ``work`` calls `Interrupts.check`.
    """
    workers = min(workers, len(items))
    if workers < 2:
        yield from enumerate(map(partial(picklable_call, work), items))
        return
    try:
        yield from _in_processes(work, items, workers)
    except BrokenProcessPool as error:
        raise WorkerError(
            "A worker process was ended from outside (out of memory?) or could not start (a "
            'script needs if __name__ == "__main__":); --workers 1 does without workers.'
        ) from error


def call_in_process(
    work: Callable[[Item], Result], item: Item, stop: Callable[[], bool] = lambda: False
) -> Result:
    """Return ``work(item)``, which is done in a process of its own until ``stop`` returns True.

    Some calls of libraries keep Python's global lock for seconds or minutes. In a thread they would
    stop all other threads, and no signal would be answered.

    Raises:
        WorkerError: if the process is ended from outside, or by ``stop``.
        ClusterNetError: as of `map_unordered`.
        KeyboardInterrupt: if a signal has asked to stop.
    """
    try:
        ((_, result),) = _in_processes(work, [item], 1, stop)
    except BrokenProcessPool as error:
        raise WorkerError("A process was ended from outside (out of memory?).") from error
    return result


def _in_processes(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    stop_waiting: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, Result]]:
    # "spawn", because forking a process that has loaded TensorFlow or faiss hangs
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(stop,)
    )
    try:
        with _signals_held_back():
            indexes = {
                pool.submit(picklable_call, work, item): index for index, item in enumerate(items)
            }
        for future in _as_completed(indexes, stop_waiting):
            yield indexes[future], future.result()
    finally:
        stop.set()
        with _killed_if_late(set(multiprocessing.active_children()) - others):
            pool.shutdown(wait=True, cancel_futures=True)


def picklable_call(work: Callable[[Item], Result], item: Item) -> Result:
    """Do the work; raise only exceptions that can be pickled and sent to the parent."""
    try:
        return work(item)
    except Exception as error:
        if isinstance(error, ClusterNetError) or type(error).__module__ == "builtins":
            raise
        if is_foreign(error):
            raise ClusterNetError(describe(error)) from error
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def _as_completed(
    futures: Iterable[Future[Result]], stop: Callable[[], bool]
) -> Iterator[Future[Result]]:
    """Yield futures as they are done.

    Raises:
        KeyboardInterrupt: if a signal has asked to stop.
        WorkerError: if ``stop`` returns True.
    """
    done: SimpleQueue[Future[Result]] = SimpleQueue()
    pending = 0
    for future in futures:
        future.add_done_callback(done.put)
        pending += 1
    while pending:
        interrupts.check()
        if stop():
            raise WorkerError("The work was interrupted.")
        with suppress(Empty):
            yield done.get(timeout=_LOOK_EVERY)
            pending -= 1


@contextmanager
def _killed_if_late(workers: set[BaseProcess]) -> Iterator[None]:
    """Kill workers that do not stop in time: they may be in a long call of a library."""

    def kill() -> None:
        for worker in workers:
            worker.kill()

    timer = threading.Timer(_LAST_STEP_SECONDS, kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Block signals while workers are started; they inherit the blocked signals.

    Ctrl-C reaches all processes of a terminal. A Python process that is just starting would
    answer it with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(stop: Flag) -> None:
    prepare_process()
    # Only the parent handles signals. If it is killed, its workers must end, too.
    interrupts.follow(stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
