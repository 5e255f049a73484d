"""The connection to a Ray cluster, and the start and end of one on this machine."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from clusternet.distributed.guard import clean
from clusternet.distributed.local_secrets import LocalSecrets
from clusternet.distributed.nodes import Needs, check_nodes
from clusternet.distributed.pulse import Pulse
from clusternet.distributed.ray_executor import RayExecutor
from clusternet.distributed.ray_library import ray
from clusternet.distributed.ray_team import RayTeam
from clusternet.distributed.shared_paths import SharedPaths
from clusternet.distributed.shares import shares_of_nodes, usual_workers
from clusternet.errors import ClusterNetError, SettingsError
from clusternet.messages import one_line
from clusternet.process_setup import quiet_stderr
from clusternet.processes.interrupts import SIGNALS, interrupts
from clusternet.processes.machine import usable_cores

_LOOPBACK = "127.0.0.1"
_OBJECT_STORE = 512 * 2**20  # bytes: what is under way, never whole rasters
_SHORT = "/tmp"  # noqa: S108  # a folder with a random name is made in it
_PATIENCE = 10.0  # seconds
_LONGEST = 40  # characters of the folder that Ray's sockets lie below
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}


@contextmanager
def connected_executor(
    local: LocalSecrets | None, address: str, num_workers: int | None, paths: SharedPaths
) -> Iterator[RayExecutor]:
    """Connect to a cluster or start one; see `clusternet.distributed.cluster.ray_executor`."""
    with _cluster(local, address, num_workers) as pulse:
        needs = _checked(num_workers, paths)
        with closing(RayExecutor(num_workers or _cores(), needs, pulse)) as executor:
            yield executor


@contextmanager
def connected_team(
    local: LocalSecrets | None,
    address: str,
    num_workers: int | None,
    min_workers: int | None,
    paths: SharedPaths,
) -> Iterator[RayTeam]:
    """Connect to a cluster or start one; see `clusternet.distributed.cluster.ray_team`."""
    with _cluster(local, address, num_workers) as pulse:
        needs = _checked(num_workers, paths)
        yield RayTeam(_team_size(num_workers, min_workers), min_workers, needs, pulse)


@contextmanager
def _cluster(local: LocalSecrets | None, address: str, num_workers: int | None) -> Iterator[Pulse]:
    # all cores of this machine, which few workers then share
    cores = max(num_workers or 1, usable_cores())
    with (
        ExitStack() as last,  # left when Ray is shut down, which may take for ever, too
        _connected(address) if local is None else _local_cluster(local, cores),
    ):
        pulse = last.enter_context(Pulse())
        interrupts.check()
        yield pulse


def _checked(num_workers: int | None, paths: SharedPaths) -> Needs:
    """Return what nodes need; refuse a cluster with too few cores, or a node that lacks something.

    Raises:
        SettingsError: naming the flag.
        ClusterNetError: naming the node.
    """
    cores = _cores()
    if (num_workers or 1) > cores:
        raise SettingsError(
            f"--num_workers {num_workers}: the cluster has {cores} core(s), one for each "
            f"worker; ask for {cores} or fewer, or add nodes."
        )
    needs = Needs.of_command(paths)
    check_nodes(needs)
    return needs


def _team_size(num_workers: int | None, min_workers: int | None) -> int:
    """Return the number of workers that train together."""
    if num_workers is not None:
        return num_workers
    usual = usual_workers(shares_of_nodes())
    if min_workers is not None and min_workers > usual:
        raise SettingsError(
            f"--min_workers {min_workers}: the cluster has {usual} worker(s), one a GPU or node; "
            "ask for fewer, add nodes, or give --num_workers, too."
        )
    return usual


def _cores() -> int:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(resources.get("CPU", 0))


def _knock(address: str) -> None:
    """Raise OSError if nobody listens at ``host:port``: Ray itself would try for minutes."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE):
            pass


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """Connect to a running cluster, which goes on afterwards."""
    try:
        _knock(address)
        with _signals_kept(), quiet_stderr():
            ray.init(address=address, **_QUIET)
    except Exception as error:  # Ray raises of every kind, also Exception itself
        if "AuthenticationError" in str(error.__cause__):
            raise SettingsError(
                f"--ray {address}: the cluster refuses this command's token; set "
                "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN as where it was started."
            ) from error
        raise SettingsError(
            f"--ray {address}: no Ray cluster answers there ({one_line(str(error))}); start "
            "one with ray start, or leave --ray out."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _local_cluster(local: LocalSecrets, cores: int) -> Iterator[None]:
    """Start a cluster on this machine; nothing of it is left when the block ends."""
    # Sockets lie in this folder, and their paths must be short: no folder of the user's.
    folder = tempfile.mkdtemp(prefix="clusternet-ray-", dir=_short_temporary_folder())
    guard = subprocess.Popen(  # noqa: S603  # our own module, no shell
        [sys.executable, "-m", "clusternet.distributed.guard", folder, local.mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C must not reach it
    )
    try:
        try:
            with _signals_kept(), quiet_stderr():
                ray.init(
                    address="local",  # not what the environment variable RAY_ADDRESS names
                    num_cpus=cores,
                    include_dashboard=False,
                    object_store_memory=_OBJECT_STORE,
                    _node_ip_address=_LOOPBACK,
                    _temp_dir=folder,
                    **_QUIET,
                )
        except Exception as error:  # Ray raises of every kind, also Exception itself
            raise ClusterNetError(
                f"--num_workers: no Ray cluster could be started on this machine "
                f"({one_line(str(error))}); leave --num_workers out."
            ) from error
        yield
    finally:
        ray.shutdown()
        clean(folder, local.mark, spare=guard.pid)
        if guard.stdin is not None:
            guard.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            guard.wait(timeout=10)


def _short_temporary_folder() -> str | None:
    """Return /tmp where there is one: TMPDIR may be too long for the path of a socket."""
    usual = tempfile.gettempdir()
    return _SHORT if len(usual) > _LONGEST and Path(_SHORT).is_dir() else usual


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Put our signal handlers back afterwards: Ray would leave the process in its own."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
