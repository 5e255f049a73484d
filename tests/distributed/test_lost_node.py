"""A team whose cluster loses a node for good: it goes on with fewer workers only if it may."""

from __future__ import annotations

import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from group_pieces import Task, outlast
from two_nodes import OTHER, TwoNodes, two_nodes

from clusternet.errors import ClusterNetError

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="needs loopback addresses of Linux"),
    # Ray never waits for the processes that it has ended
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
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
