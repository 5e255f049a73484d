"""Workers share the cores of the nodes, and no node has more threads at work than cores."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


@pytest.mark.parametrize(
    ("nodes", "num_workers", "cores"),
    [
        ([2], 1, 2), ([2], 2, 1), ([2], 4, 1),
        ([16, 16], 2, 16), ([16, 16], 32, 1), ([16, 16], 8, 4), ([16, 16], 9, 3),
        ([16, 4], 5, 4), ([], 3, 1),
    ],
)  # fmt: skip
def test_cores_of_a_worker(nodes: list[int], num_workers: int, cores: int) -> None:
    from clusternet.distributed.shares import Share, cores_of_worker

    with_gpus = [Share(node, gpus=1) for node in nodes]
    assert cores_of_worker(with_gpus, num_workers) == cores


@pytest.mark.parametrize("shares_gpu", [True, False])
def test_libraries_of_a_worker_have_its_cores(
    shares_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clusternet.distributed.surroundings import Surroundings

    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    given = Surroundings.of_command(3, shares_gpu=shares_gpu).environment
    assert given["TF_NUM_INTRAOP_THREADS"] == "3"
    assert given["OMP_NUM_THREADS"] == "7"  # what the user has set stays
    assert ("TF_FORCE_GPU_ALLOW_GROWTH" in given) == shares_gpu
