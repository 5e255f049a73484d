"""Run trials in fresh processes, since they leave hooks and settings in a process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a function in a process of its own."""
    return next(iter(side_by_side([(function, *arguments)])))


def side_by_side(tasks: list[tuple[Any, ...]]) -> list[Any]:
    """Return the results of (function, arguments...), each in a process of its own."""
    spawn = multiprocessing.get_context("spawn")  # fork after TensorFlow or faiss hangs
    pools = [ProcessPoolExecutor(1, mp_context=spawn) for _ in tasks]
    try:
        futures = [pool.submit(*task) for pool, task in zip(pools, tasks, strict=True)]
        return [future.result() for future in futures]
    finally:
        for pool in pools:
            pool.shutdown()
