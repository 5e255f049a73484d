"""Where a command does its work: in this process, or on a Ray cluster that the user asks for."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clusternet.processes.executors import Executor
from clusternet.processes.groups import Team


@contextmanager
def executor_of(
    args: argparse.Namespace, inputs: Iterable[Path | None], outputs: Iterable[Path | None] = ()
) -> Iterator[Executor | None]:
    """Return what ``--ray`` and ``--num_workers`` ask for; None without them.

    Args:
        args: of the command line.
        inputs: what workers read; None for what is not given.
        outputs: what they write.
    """
    if args.ray is None and args.num_workers is None:
        yield None  # nothing of Ray is loaded
        return
    from clusternet.distributed.cluster import ray_executor
    from clusternet.distributed.shared_paths import SharedPaths

    paths = SharedPaths(tuple(inputs), tuple(outputs))
    with ray_executor(args.ray, args.num_workers, paths) as executor:
        yield executor


@contextmanager
def team_of(
    args: argparse.Namespace, inputs: Iterable[Path | None], outputs: Iterable[Path | None]
) -> Iterator[Team | None]:
    """Return the processes that ``--ray`` and ``--num_workers`` ask for; None without them.

    Args: see `executor_of`.
    """
    if args.ray is None and args.num_workers is None:
        yield None
        return
    from clusternet.distributed.cluster import ray_team
    from clusternet.distributed.shared_paths import SharedPaths

    paths = SharedPaths(tuple(inputs), tuple(outputs))
    with ray_team(args.ray, args.num_workers, args.min_workers, paths) as team:
        yield team
