"""What each worker gets of a cluster: an equal share of the cores, or a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clusternet.distributed.ray_library import ray
from clusternet.errors import SettingsError


@dataclass(frozen=True)
class Share:
    """Cores and GPUs, of a node or of a worker."""

    cores: int
    gpus: int = 0


def shares_of_nodes() -> list[Share]:
    """Return what each node has that is alive and can work."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    found = [node["Resources"] for node in nodes if node["Alive"]]
    return [Share(int(each.get("CPU", 0)), int(each.get("GPU", 0))) for each in found]


def room(nodes: Sequence[Share], share: Share) -> int:
    """Return how many workers with a share have room on the nodes."""
    return sum(
        min(node.cores // share.cores, node.gpus if share.gpus else node.cores) for node in nodes
    )


def usual_workers(nodes: Sequence[Share]) -> int:
    """Return the number of workers if none is asked for: one a GPU, else one a node."""
    return sum(node.gpus for node in nodes) or sum(node.cores > 0 for node in nodes)


def share_of_worker(nodes: Sequence[Share], num_workers: int) -> Share:
    """Return the largest share that as many workers have room with.

    If there are GPUs, each worker gets one: TensorFlow takes all memory of a GPU that it uses.

    Raises:
        SettingsError: if there are GPUs, but fewer than workers.
    """
    gpus = sum(node.gpus for node in nodes)
    if 0 < gpus < num_workers:
        raise SettingsError(
            f"--num_workers {num_workers}: the cluster has {gpus} GPU(s), one for each worker in "
            f"training; ask for {gpus} or fewer, or hide the GPUs (CUDA_VISIBLE_DEVICES=)."
        )
    return _largest(nodes, num_workers, min(gpus, 1))


def cores_of_worker(nodes: Sequence[Share], num_workers: int) -> int:
    """Return the cores of each of as many workers that share the cores and GPUs of their nodes."""
    return _largest(nodes, num_workers, 0).cores


def _largest(nodes: Sequence[Share], num_workers: int, gpus: int) -> Share:
    """Return the largest share with so many GPUs that workers have room with; one core at least."""
    most = max((node.cores for node in nodes), default=1)
    shares = (Share(cores, gpus) for cores in range(most, 1, -1))
    return next((share for share in shares if room(nodes, share) >= num_workers), Share(1, gpus))
