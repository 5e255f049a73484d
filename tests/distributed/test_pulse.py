"""A cluster whose head is gone is told, in time and in one line."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from needing_ray import NEEDS_RAY

from clusternet.errors import WorkerError

pytestmark = NEEDS_RAY


class Head:
    """A server of this process, which can go away and come back."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.place = self._server.getsockname()
        self.nodes = [{"NodeID": name, "Alive": True} for name in ("ours", "another")]

    def leave(self) -> None:
        self._server.close()

    def back(self) -> None:
        self._server = socket.create_server(self.place)


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    """The head of a cluster that this process is connected to; all that takes time is quick."""
    from clusternet.distributed import pulse

    found = Head()
    context = SimpleNamespace(gcs_address=f"127.0.0.1:{found.place[1]}", get_node_id=lambda: "ours")
    monkeypatch.setattr(pulse.ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(pulse.ray, "nodes", lambda: found.nodes)
    for name, seconds in (("_PATIENCE", 1.0), ("_PAUSE", 0.02), ("_END", 0.3)):
        monkeypatch.setattr(pulse, name, seconds)
    yield found
    found.leave()


def test_a_head_that_does_not_answer_for_a_while_is_told(head: Head) -> None:
    from clusternet.distributed.pulse import Pulse

    felt = Pulse()
    felt.check(now=True)

    head.leave()
    felt.check()  # it is not asked so often
    with pytest.raises(WorkerError, match=r"^Ray: the cluster at 127.0.0.1:\d+ is gone") as told:
        felt.check(now=True)
    assert len(str(told.value)) < 300

    timer = threading.Timer(0.2, head.back)
    timer.start()
    felt.check(now=True)  # a head that starts again goes on
    timer.join()


def test_a_command_whose_own_node_dies_is_told(head: Head) -> None:
    from clusternet.distributed.pulse import Pulse

    felt = Pulse()
    head.nodes[1]["Alive"] = False  # others may
    felt.check(now=True)
    head.nodes[0]["Alive"] = False
    with pytest.raises(WorkerError, match=r"^Ray: the node that this command uses of") as told:
        felt.check(now=True)
    assert len(str(told.value)) < 300


def test_a_script_that_waits_in_a_call_of_ray_is_ended_with_a_word(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clusternet.distributed import pulse

    ended = threading.Event()
    said: list[tuple[str, int]] = []

    def end_at_once(line: str, status: int) -> None:
        said.append((line, status))
        ended.set()

    interrupts = SimpleNamespace(owns_process=True, end_at_once=end_at_once)
    monkeypatch.setattr(pulse, "interrupts", interrupts)
    monkeypatch.setattr(pulse, "_ASK_EVERY", 0.02)
    with pulse.Pulse():
        assert not ended.wait(0.5)
        head.leave()
        assert ended.wait(10)
    line, status = said[0]
    assert status == 2 and line.startswith("error: Ray: the cluster at 127.0.0.1:")
