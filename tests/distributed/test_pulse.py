"""A cluster whose head is gone is told, in time and in one line."""

from __future__ import annotations

import socket
import threading
import time
from types import SimpleNamespace

import pytest
from needing_ray import NEEDS_RAY

from clusternet.errors import WorkerError

pytestmark = NEEDS_RAY


def test_a_head_that_does_not_answer_for_a_while_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from clusternet.distributed import pulse

    head = socket.create_server(("127.0.0.1", 0))
    place = head.getsockname()
    address = f"127.0.0.1:{place[1]}"
    context = SimpleNamespace(gcs_address=address)
    monkeypatch.setattr(pulse.ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(pulse, "_PATIENCE", 1.0)
    monkeypatch.setattr(pulse, "_PAUSE", 0.02)
    felt = pulse.Pulse()
    felt.check(now=True)

    head.close()
    felt.check()  # it is not asked so often
    with pytest.raises(WorkerError, match=f"^Ray: the cluster at {address} is gone") as told:
        felt.check(now=True)
    assert len(str(told.value)) < 300

    def restart() -> None:
        time.sleep(0.2)
        with socket.create_server(place):
            time.sleep(0.5)

    thread = threading.Thread(target=restart)
    thread.start()
    felt.check(now=True)  # a head that starts again goes on
    thread.join()
