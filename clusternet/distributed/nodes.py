"""Whether every node of a cluster can do the work: packages, paths and room, told in one line."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from clusternet import __version__
from clusternet.distributed.ray_library import ray
from clusternet.errors import ClusterNetError
from clusternet.messages import one_line
from clusternet.processes.interrupts import interrupts

LEAST_ROOM = 256 * 2**20
"""Bytes that every node must have free where outputs go."""
_PACKAGES = ("keras", "tensorflow-cpu", "tensorflow", "jax", "numpy", "faiss-cpu", "rasterio")
_PATIENCE = 120.0  # seconds that a node may take to answer


@dataclass(frozen=True)
class NodeFacts:
    """What a node has, as far as results depend on it."""

    versions: dict[str, str]
    missing: list[str] = field(default_factory=list)
    """Paths that it does not see."""
    crowded: list[str] = field(default_factory=list)
    """Folders on disks with less than `LEAST_ROOM` free."""


def node_facts(paths: Sequence[str]) -> NodeFacts:
    """Return the facts of the node that this runs on."""
    versions = {"clusternet": __version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    missing = [path for path in paths if not Path(path).exists()]
    crowded = [
        path for path in paths if Path(path).is_dir() and shutil.disk_usage(path).free < LEAST_ROOM
    ]
    return NodeFacts(versions, missing, crowded)


def check_nodes(paths: Sequence[Path]) -> None:
    """Refuse a cluster with a node that cannot do the work as this process would.

    Args:
        paths: inputs, and outputs, of which the folder that exists is looked at.

    Raises:
        ClusterNetError: naming the node, and what it lacks.
    """
    wanted = sorted({os.path.realpath(_existing(path)) for path in paths})
    own = node_facts([])
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    for node in nodes:
        if not node["Alive"] or not node["Resources"].get("CPU"):
            continue
        address = node["NodeManagerAddress"]
        facts = _ask(node["NodeID"], address, wanted)
        for name in sorted(own.versions.keys() | facts.versions.keys()):
            here, there = own.versions.get(name, "none"), facts.versions.get(name, "none")
            if here != there:
                raise ClusterNetError(
                    f"Node {address}: has {name} {there}, where this machine has {here}; results "
                    "would differ: install the same versions on all nodes."
                )
        if facts.missing:
            raise ClusterNetError(
                f"Node {address}: does not see {facts.missing[0]}; put inputs and outputs where "
                "all nodes see them under the same path."
            )
        if facts.crowded:
            raise ClusterNetError(
                f"Node {address}: less than {LEAST_ROOM >> 20} MB are free in {facts.crowded[0]}; "
                "make room."
            )


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    whole = Path.cwd() / path
    return next((each for each in (whole, *whole.parents) if each.exists()), whole)


def _ask(node: str, address: str, paths: Sequence[str]) -> NodeFacts:
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
    task: Any = ray.remote(node_facts).options(
        num_cpus=0, scheduling_strategy=strategy, max_retries=0
    )
    future, waited = task.remote(paths), 0.0
    while waited < _PATIENCE:
        interrupts.check()
        done, _ = ray.wait([future], timeout=0.2)
        waited += 0.2
        if done:
            break
    else:
        raise ClusterNetError(f"Node {address}: does not answer; stop it, or start it again.")
    try:
        facts: NodeFacts = ray.get(future)
    except ray.exceptions.RayError as error:
        raise ClusterNetError(
            f"Node {address}: cannot run ClusterNet ({one_line(str(error))}); install the "
            "same versions of it there."
        ) from error
    return facts
