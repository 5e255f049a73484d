"""Whether every node of a cluster can do the work: packages, paths and room, told in one line."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from clusternet import __version__
from clusternet.distributed.ray_library import ray
from clusternet.distributed.shared_paths import SharedPaths
from clusternet.errors import ClusterNetError
from clusternet.messages import one_line
from clusternet.processes.interrupts import interrupts

LEAST_ROOM = 256 * 2**20
"""Bytes that every node must have free where outputs go."""
_PACKAGES = ("keras", "tensorflow-cpu", "tensorflow", "jax", "numpy", "faiss-cpu", "rasterio")
_LOOK_EVERY = 0.2  # seconds
_PATIENCE = 120.0  # seconds that nodes may take to answer


def versions_here() -> dict[str, str]:
    """Return the versions in this process of all that results depend on."""
    versions = {"clusternet": __version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@dataclass(frozen=True)
class Needs:
    """What a node must have to do the work as the command would."""

    versions: Mapping[str, str]
    seen: tuple[str, ...] = ()
    """Paths of inputs and outputs."""
    written: tuple[str, ...] = ()
    """Folders that outputs go to."""

    @classmethod
    def of_command(cls, paths: SharedPaths) -> Needs:
        """Return what this process has."""
        return cls(versions_here(), tuple(paths.seen()), tuple(paths.written()))

    def fault_here(self) -> str:
        """Return what the node that this runs on lacks, as the end of a message; else nothing."""
        found = versions_here()
        for name in sorted(self.versions.keys() | found.keys()):
            here, there = self.versions.get(name, "none"), found.get(name, "none")
            if here != there:
                return (
                    f"has {name} {there}, where this machine has {here}; results would differ: "
                    "install the same versions on all nodes."
                )
        for path in self.seen:
            if not Path(path).exists():
                return (
                    f"does not see {path}; put inputs and outputs where all nodes see them under "
                    "the same path."
                )
        for path in self.written:
            if Path(path).is_dir() and shutil.disk_usage(path).free < LEAST_ROOM:
                return f"less than {LEAST_ROOM >> 20} MB are free in {path}; make room."
        return ""


def greeting(needs: Needs) -> tuple[str, str]:
    """Return the address of the node that this runs on, and its fault, see `Needs`."""
    address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    return address, needs.fault_here()


def welcomed(answer: tuple[str, str]) -> str:
    """Return the address in a `greeting`.

    Raises:
        ClusterNetError: naming the node, if it has a fault.
    """
    address, fault = answer
    if fault:
        raise ClusterNetError(f"Node {address}: {fault}")
    return address


def check_nodes(needs: Needs) -> None:
    """Refuse a cluster with a node that cannot do the work; all are asked at the same time.

    Raises:
        ClusterNetError: naming the node, and what it lacks.
    """
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    asked = {
        _ask(node["NodeID"], needs): str(node["NodeManagerAddress"])
        for node in nodes
        if node["Alive"] and node["Resources"].get("CPU")
    }
    waiting, begin = list(asked), time.monotonic()
    while waiting:
        interrupts.check()
        if time.monotonic() - begin > _PATIENCE:
            address = asked[waiting[0]]
            raise ClusterNetError(f"Node {address}: does not answer; stop it, or start it again.")
        done, waiting = ray.wait(waiting, timeout=_LOOK_EVERY)
        for future in done:
            _check_answer(asked[future], future)


def _ask(node: str, needs: Needs) -> Any:
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
    task: Any = ray.remote(greeting).options(
        num_cpus=0, scheduling_strategy=strategy, max_retries=0
    )
    return task.remote(needs)


def _check_answer(address: str, future: Any) -> None:
    try:
        _, fault = ray.get(future)
    except ray.exceptions.RayError as error:
        raise ClusterNetError(
            f"Node {address}: cannot run ClusterNet ({one_line(str(error))}); install the "
            "same versions of it there."
        ) from error
    welcomed((address, fault))
