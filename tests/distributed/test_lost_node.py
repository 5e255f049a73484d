"""A cluster that loses a node, or its head, for good."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest
from group_pieces import Task, outlast
from needing_ray import NEEDS_RAY
from two_nodes import HEAD, OTHER, TwoNodes, two_nodes

from clusternet.errors import ClusterNetError

pytestmark = [
    *NEEDS_RAY,
    pytest.mark.skipif(sys.platform != "linux", reason="needs loopback addresses of Linux"),
    pytest.mark.slow,
]


def kill_when_at_work(nodes: TwoNodes, folder: Path) -> None:
    while not (folder / "working").exists():
        time.sleep(0.1)
    nodes.kill(OTHER)


def test_a_team_goes_on_without_a_node_only_if_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("nodes", "refused", "allowed"):
        (tmp_path / name).mkdir()
    with two_nodes(tmp_path / "nodes", Path(__file__).parent) as nodes:
        from clusternet.distributed import ray_team  # Ray reads the token when it is loaded
        from clusternet.distributed.cluster import ray_team as team_on

        monkeypatch.setattr(ray_team, "_REPLACED", 3.0)
        for folder, least in ((tmp_path / "refused", None), (tmp_path / "allowed", 1)):
            nodes.start()
            task = Task(folder)
            with team_on(nodes.address, None, least) as team:  # one worker a node
                threading.Thread(target=kill_when_at_work, args=(nodes, folder)).start()
                if least:
                    team.run(outlast, lambda task=task: task)
                    continue
                with pytest.raises(ClusterNetError, match=r"room for 1 worker.* --min_workers 1"):
                    team.run(outlast, lambda task=task: task)

    assert (tmp_path / "allowed/0.json").read_text() == "1"
    assert not (tmp_path / "refused/0.json").exists()
    assert "goes on with these, and results will differ from those of 2" in caplog.text


def test_a_command_whose_cluster_is_gone_ends_in_one_line(tmp_path: Path) -> None:
    with two_nodes(tmp_path, Path(__file__).parent) as nodes, nodes.command() as command:
        begin = time.monotonic()
        nodes.kill(HEAD)
        _, errors = command.communicate(timeout=90)

    line = errors.splitlines()[-1]
    assert command.returncode == 2
    assert line.startswith(f"error: Ray: the cluster at {nodes.address} is gone"), errors
    assert time.monotonic() - begin < 60  # after that Ray ends the process itself
