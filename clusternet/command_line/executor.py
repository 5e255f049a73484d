"""Where a command does its work: in this process, or on a Ray cluster that the user asks for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clusternet.processes.executors import Executor
from clusternet.processes.groups import Team


@contextmanager
def executor_of(
    args: argparse.Namespace, paths: Sequence[Path | None]
) -> Iterator[Executor | None]:
    """Return what ``--ray`` and ``--num_workers`` ask for; None without them.

    Args:
        args: of the command line.
        paths: inputs and outputs, which all nodes must see; None for those not given.
    """
    if args.ray is None and args.num_workers is None:
        yield None  # nothing of Ray is loaded
        return
    from clusternet.distributed.cluster import ray_executor

    given = [path for path in paths if path is not None]
    with ray_executor(args.ray, args.num_workers, given) as executor:
        yield executor


@contextmanager
def team_of(args: argparse.Namespace, paths: Sequence[Path | None]) -> Iterator[Team | None]:
    """Return the processes that ``--ray`` and ``--num_workers`` ask for; None without them.

    Args:
        args: of the command line.
        paths: see `executor_of`.
    """
    if args.ray is None and args.num_workers is None:
        yield None
        return
    from clusternet.distributed.cluster import ray_team

    given = [path for path in paths if path is not None]
    with ray_team(args.ray, args.num_workers, args.min_workers, given) as team:
        yield team
