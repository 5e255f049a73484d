"""A Ray cluster to work on: one that runs, or one of this machine that ends with the command."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from clusternet.distributed.local_secrets import LocalSecrets
from clusternet.errors import SettingsError

if TYPE_CHECKING:
    from clusternet.distributed.ray_executor import RayExecutor

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # it would send statistics to Ray's makers
    # A paragraph about each worker that dies would stand in our output, whatever its log level:
    # the filter of repeated lines drops it, and all else that Ray would print.
    "RAY_DEDUP_LOGS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",
    # a worker that asks for no GPU must still see those of its node, as this process does
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextmanager
def ray_executor(
    address: str | None, num_workers: int | None, paths: Sequence[Path] = ()
) -> Iterator[RayExecutor]:
    """Connect to a Ray cluster, or start one on this machine, for the time of the block.

    Args:
        address: of a running cluster (``auto``, ``host:port``); None starts one.
        num_workers: workers of one core; None takes all cores of the cluster.
        paths: what all nodes must see: inputs, and outputs or the folders that they go to.

    Raises:
        SettingsError: if Ray is not installed, the cluster cannot be reached, or has too few cores.
        ClusterNetError: naming the node, if one cannot do the work.
    """
    if num_workers is not None and num_workers < 1:
        raise SettingsError(f"--num_workers: expected a number above 0, received {num_workers}.")
    local = LocalSecrets() if address is None else None
    with ExitStack() as stack:
        secrets = {} if local is None else local.environment()
        stack.enter_context(_environment(_SETTINGS | secrets))
        # here, because Ray reads its environment when it is loaded
        from clusternet.distributed.session import connected_executor

        session = connected_executor(local, address or "", num_workers, paths)
        yield stack.enter_context(session)


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
