"""A Ray cluster to work on: one that runs, or one of this machine that ends with the command."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clusternet.distributed.local_secrets import LocalSecrets
from clusternet.distributed.shared_paths import SharedPaths
from clusternet.errors import SettingsError
from clusternet.processes.machine import usable_cores, usable_memory

if TYPE_CHECKING:
    from clusternet.distributed.ray_executor import RayExecutor
    from clusternet.distributed.ray_team import RayTeam

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # it would send statistics to Ray's makers
    # A paragraph about each worker that dies would stand in our output, whatever its log level:
    # the filter of repeated lines drops it, and all else that Ray would print.
    "RAY_DEDUP_LOGS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",
    # a worker that asks for no GPU must still see those of its node, as this process does
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Environment variables, which Ray reads when it is loaded."""
_LOCAL_SETTINGS = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Of a cluster of one machine, on any system: its servers then listen on loopback only."""
_WORKERS_A_CORE = 4  # with more they only wait for each other
_MEMORY_OF_WORKER = 2**30  # bytes, with TensorFlow loaded
NO_PATHS = SharedPaths()
"""Of work that reads and writes no files."""


@contextmanager
def ray_executor(
    address: str | None, num_workers: int | None, paths: SharedPaths = NO_PATHS
) -> Iterator[RayExecutor]:
    """Connect to a Ray cluster, or start one on this machine, for the time of the block.

    Args:
        address: of a running cluster (``auto``, ``host:port``); None starts one.
        num_workers: workers, which share the cores; None takes one for each core.
        paths: what all nodes must see.

    Raises:
        SettingsError: if Ray is not installed, the cluster cannot be reached, or has too few cores.
        ClusterNetError: naming the node, if one cannot do the work.
    """
    check_request(address, num_workers)
    with _started(address) as local:
        from clusternet.distributed.session import connected_executor

        with connected_executor(local, address or "", num_workers, paths) as executor:
            yield executor


@contextmanager
def ray_team(
    address: str | None,
    num_workers: int | None,
    min_workers: int | None = None,
    paths: SharedPaths = NO_PATHS,
) -> Iterator[RayTeam]:
    """Do the same for processes that work together, such as those that share a training.

    Args:
        address: see `ray_executor`.
        num_workers: processes, which share the cores of the cluster; None takes one a node.
        min_workers: processes that the work may go on with after a node is lost; None wants all.
        paths: see `ray_executor`.

    Raises:
        SettingsError: see `ray_executor`.
        ClusterNetError: see `ray_executor`.
    """
    check_request(address, num_workers, min_workers)
    with _started(address) as local:
        from clusternet.distributed.session import connected_team

        with connected_team(local, address or "", num_workers, min_workers, paths) as team:
            yield team


def check_request(
    address: str | None, num_workers: int | None, min_workers: int | None = None
) -> None:
    """Refuse what cannot be a cluster, without asking it.

    Raises:
        SettingsError: naming the flag.
    """
    _check_address(address)
    for name, number in (("num_workers", num_workers), ("min_workers", min_workers)):
        if number is not None and number < 1:
            raise SettingsError(f"--{name}: expected a number above 0, received {number}.")
    if num_workers is not None and min_workers is not None and min_workers > num_workers:
        raise SettingsError(
            f"--min_workers: expected {num_workers} at most, as --num_workers, received "
            f"{min_workers}."
        )
    check_room(address, num_workers)


def _check_address(address: str | None) -> None:
    """Refuse other kinds of addresses: for some, Ray starts a cluster that nobody ends."""
    host, _, port = (address or "").rpartition(":")
    is_place = host and "/" not in host and port.isdecimal()
    if address is not None and address != "auto" and not is_place:
        raise SettingsError(
            f"--ray {address}: expected auto, or HOST:PORT of a cluster that runs; start one with "
            "ray start, or leave --ray out."
        )


def check_room(address: str | None, num_workers: int | None) -> None:
    """Refuse more workers than this machine can start, where they are to work on this machine.

    Raises:
        SettingsError: naming the flag.
    """
    if address is not None or num_workers is None:
        return
    by_memory = usable_memory() // _MEMORY_OF_WORKER
    most = max(min(_WORKERS_A_CORE * usable_cores(), by_memory), 2)
    if num_workers > most:
        raise SettingsError(
            f"--num_workers {num_workers}: this machine has room for {most} worker(s), "
            f"{_WORKERS_A_CORE} a core and one a GiB of memory; ask for {most} or fewer, or name a "
            "cluster of several machines with --ray."
        )


@contextmanager
def _started(address: str | None) -> Iterator[LocalSecrets | None]:
    """Set the environment for Ray, which reads it when it is loaded."""
    local = LocalSecrets() if address is None else None
    own = {} if local is None else _LOCAL_SETTINGS | local.environment()
    with _environment(SETTINGS | own):
        yield local


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the time of the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
