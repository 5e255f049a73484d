"""A group on a Ray cluster: what members exchange, who dies, what the command shows."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from needing_ray import HERE, NEEDS_RAY, pieces_found

from clusternet.distributed.guard import processes_of
from clusternet.errors import ClusterNetError, PatchError, SettingsError

if TYPE_CHECKING:
    from clusternet.distributed.ray_team import RayTeam

pytestmark = NEEDS_RAY


@pytest.fixture(scope="module")
def team() -> Iterator[RayTeam]:
    """Two workers of a cluster that ends with the module; they find `group_pieces`."""
    from clusternet.distributed.cluster import ray_team

    with pieces_found(), ray_team(None, 2) as started:
        yield started


def notes(folder: Path) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_members_get_the_same_from_each_other(team: RayTeam, tmp_path: Path) -> None:
    from group_pieces import Task, exchange

    team.run(exchange, lambda: Task(tmp_path))

    one, other = notes(tmp_path)
    assert one[:-1] == other[:-1] and one[-1] != other[-1]
    size, sums, gathered, process, large, own = one
    assert size == 2 and process == own and large == 300_000 * 299_999 // 2
    assert gathered == ["0 first", "1 first", "0 second", "1 second"]
    for found in sums:
        assert found == pytest.approx([3 * 10.0**power for power in range(-3, 4)])


def test_the_command_shows_what_the_first_member_says(
    team: RayTeam, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from group_pieces import Task, speak

    monkeypatch.setenv("CLUSTERNET_PROGRESS", "lines")
    with caplog.at_level(logging.INFO, "clusternet"):
        team.run(speak, lambda: Task(tmp_path))

    assert [(r.name, r.getMessage()) for r in caplog.records] == [
        ("clusternet.tests", "member 0 of 2")
    ]
    out, errors = capsys.readouterr()
    lines = errors.splitlines()
    assert out == "" and lines[-1] == "after" and lines.count("after") == 1
    assert "PROGRESS: 3/3 steps" in lines


def test_work_begins_again_when_a_member_dies(
    team: RayTeam, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from group_pieces import Task, lose_a_member

    def next_task() -> Task:  # something is achieved before each death
        return Task(tmp_path, begun=len(list(tmp_path.glob("begun_*"))))

    team.run(lose_a_member, next_task)

    assert notes(tmp_path) == [[2, 2], [2, 2]]
    messages = [record.getMessage() for record in caplog.records]
    lost = r"worker 1 on node [\d.]+ is lost; all go on from the last complete epoch\."
    assert len(messages) == 2 and all(re.fullmatch(lost, message) for message in messages)
    assert capfd.readouterr().out == ""  # nor does Ray speak


def test_a_group_that_dies_again_and_again_is_given_up(
    team: RayTeam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from group_pieces import Task, always_die

    from clusternet.distributed import ray_team

    monkeypatch.setattr(ray_team, "TRIES", 1)
    told = r"lost a worker 1 times within one epoch \(last: worker 0 on node [\d.]+\)"
    with pytest.raises(ClusterNetError, match=told) as found:
        team.run(always_die, lambda: Task(tmp_path))
    assert len(str(found.value)) < 300 and "\n" not in str(found.value)


def test_an_error_of_a_member_is_raised_as_it_is_and_the_first_one_tidies_up(
    team: RayTeam, tmp_path: Path
) -> None:
    from group_pieces import Task, blunder, refuse

    with pytest.raises(PatchError, match=r"^PATCHES/a.png: is damaged.$"):
        team.run(refuse, lambda: Task(tmp_path))
    assert (tmp_path / "tidied").exists()
    with pytest.raises(ZeroDivisionError, match="a fault") as found:
        team.run(blunder, lambda: Task(tmp_path))
    assert "group_pieces.py" in "".join(found.value.__notes__)  # where it was


def test_a_member_that_loses_its_own_node_is_out_of_touch_and_its_work_has_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from clusternet.distributed import ray_group

    def fail(*_: object, **__: object) -> None:
        raise OSError("Failed to read data from the socket: End of file")

    coordinator = SimpleNamespace(swap=SimpleNamespace(remote=lambda *_: "future"))
    monkeypatch.setattr(ray_group.ray, "put", lambda value: value)
    monkeypatch.setattr(ray_group.ray, "wait", fail)
    group = ray_group.RayGroup(0, 2, coordinator)
    for call in (group.gather, group.sum):
        with pytest.raises(ray_group.OutOfTouch, match="read data from the socket"):
            call(np.ones(3, np.float32))
    with pytest.raises(OSError):
        group.once(fail)  # a file that the work cannot read


@pytest.mark.parametrize("least", [None, 2])
def test_fewer_workers_go_on_if_that_is_allowed(
    team: RayTeam, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, least: int | None,
) -> None:  # fmt: skip
    from group_pieces import Task, exchange

    from clusternet.distributed import ray_team
    from clusternet.distributed.nodes import Needs, versions_here
    from clusternet.distributed.pulse import Pulse
    from clusternet.distributed.shares import Share, room, shares_of_nodes

    cores = room(shares_of_nodes(), Share(1))
    monkeypatch.setattr(ray_team, "_REPLACED", 0.0)  # no other node will come
    large = ray_team.RayTeam(cores + 1, least, Needs(versions_here()), Pulse())
    if least is None:
        with pytest.raises(ClusterNetError, match=r"has room for .* --resume, or --min_workers"):
            large.run(exchange, lambda: Task(tmp_path))
        return

    large.run(exchange, lambda: Task(tmp_path))

    assert len(notes(tmp_path)) == cores
    assert "results will differ from those of" in caplog.text


def test_cores_are_shared_evenly_and_gpus_one_each() -> None:
    from clusternet.distributed.shares import Share, room, share_of_worker, usual_workers

    def cores(*nodes: int, workers: int) -> int:
        return share_of_worker([Share(each) for each in nodes], workers).cores

    assert cores(16, 16, workers=2) == 16
    assert cores(16, 4, workers=2) == 8  # both on the large node
    assert cores(16, 4, workers=5) == 4
    assert cores(1, 1, workers=2) == 1
    assert cores(2, workers=5) == 1
    nodes = [Share(16, 2), Share(8), Share(16, 2)]
    assert share_of_worker(nodes, 4) == Share(8, 1) and usual_workers(nodes) == 4
    assert room(nodes, Share(8, 1)) == 4 and usual_workers([Share(8), Share(0)]) == 1
    with pytest.raises(SettingsError, match="--num_workers 5: the cluster has 4 GPU"):
        share_of_worker(nodes, 5)


WAITER = """
import sys
from pathlib import Path
from group_pieces import Task, wait
from clusternet.command_line.command import run_command
from clusternet.distributed.cluster import ray_team
from clusternet.processes.interrupts import interrupts
interrupts.own_process()

@interrupts.listening()
def work():
    with ray_team(None, 2) as team:
        team.run(wait, lambda: Task(Path(sys.argv[1])))

run_command(work)
"""


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_nothing_is_left_of_a_group_that_is_stopped(tmp_path: Path, number: int) -> None:
    from test_ray import guarded

    with subprocess.Popen(
        [sys.executable, "-c", WAITER, tmp_path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(HERE)},
    ) as process:  # fmt: skip
        try:
            until = time.monotonic() + 240
            while not (tmp_path / "working").exists() and time.monotonic() < until:
                time.sleep(0.1)
            folder, mark = guarded(process.pid)
            assert Path(folder).exists() and len(processes_of(folder, mark)) > 4
            process.send_signal(number)
            out, errors = process.communicate(timeout=120)
        finally:
            process.kill()  # or a test that fails would wait for it for ever

    killed = number == signal.SIGKILL
    assert process.returncode == (-number if killed else 130)
    assert errors == ("" if killed else "interrupted; epoch 3 is saved.\n") and out == ""
    until = time.monotonic() + 30
    while (Path(folder).exists() or processes_of(folder, mark)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(folder).exists()
    assert processes_of(folder, mark) == []
