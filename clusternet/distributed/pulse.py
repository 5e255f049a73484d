"""Whether a cluster is still there.

If its head is gone, calls of Ray wait for a minute, and then Ray ends the process.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from clusternet.distributed.ray_library import ray
from clusternet.errors import WorkerError
from clusternet.processes.interrupts import interrupts

_ASK_EVERY = 5.0  # seconds
_CONNECT = 2.0  # seconds that a connection may take
_PAUSE = 0.5  # seconds, while there is no answer
_PATIENCE = 15.0  # seconds without an answer
_END = 45.0  # seconds without an answer after which a script waits in a call of Ray
_ADVICE = (
    "what is finished stays. Start it again, and go on with --skip_existing, or --resume in "
    "training."
)


class Pulse:
    """Asks the head of the cluster that this process is connected to for a sign of life.

    It is a context: within it a thread ends a script that waits in a call of Ray when the head is
    gone, in time to say so.
    """

    def __init__(self) -> None:
        """Take the address of the head, and the node that this process fetches results through."""
        context = ray.get_runtime_context()
        self._address, self._node = str(context.gcs_address), str(context.get_node_id())
        self._felt = time.monotonic()
        self._is_over = threading.Event()

    def __enter__(self) -> Pulse:
        """Start the thread."""
        threading.Thread(target=self._watch, name="pulse", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the thread end."""
        self._is_over.set()

    def check(self, *, now: bool = False) -> None:
        """Return if the head answers and our node lives; this is asked every few seconds.

        Args:
            now: ask in any case, as before calls that would wait for the head.

        Raises:
            WorkerError: if the head does not answer for a while, or our node has died.
            KeyboardInterrupt: if a signal has asked to stop.
        """
        begin = time.monotonic()
        if not now and begin - self._felt < _ASK_EVERY:
            return
        while not self._answers():
            interrupts.check()
            if time.monotonic() - begin > _PATIENCE:
                raise WorkerError(self._farewell())
            time.sleep(_PAUSE)
        self._check_node()
        self._felt = time.monotonic()

    def wait(self, futures: Sequence[Any], seconds: float, *, least: int = 1) -> list[Any]:
        """Return the futures whose results are here, once these are as many as ``least``.

        Args:
            futures: to look at.
            seconds: after which to return in any case.
            least: number of futures.

        Raises: see `check`.
        """
        interrupts.check()
        self.check()
        try:
            done, _ = ray.wait(list(futures), num_returns=least, timeout=seconds)
        except OSError as error:
            raise self._node_is_gone() from error
        return list(done)

    def _check_node(self) -> None:
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        if not any(node["Alive"] for node in nodes if node["NodeID"] == self._node):
            raise self._node_is_gone()

    def _node_is_gone(self) -> WorkerError:
        return WorkerError(
            f"Ray: the node that this command uses of the cluster at {self._address} is gone (out "
            f"of memory?); {_ADVICE}"
        )

    def _watch(self) -> None:
        felt = time.monotonic()
        while not self._is_over.wait(_ASK_EVERY):
            if self._answers():
                felt = time.monotonic()
            elif time.monotonic() - felt > _END and interrupts.owns_process:
                interrupts.end_at_once(f"error: {self._farewell()}", 2)

    def _answers(self) -> bool:
        host, _, port = self._address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT):
                return True
        except OSError:
            return False

    def _farewell(self) -> str:
        return f"Ray: the cluster at {self._address} is gone (its head does not answer); {_ADVICE}"


def wait_at_end(futures: Sequence[Any], seconds: float) -> list[Any]:
    """Return the futures that are done, once all are or time is over; here faults are no news."""
    if not futures:
        return []
    try:
        done, _ = ray.wait(list(futures), num_returns=len(futures), timeout=seconds)
    except OSError:  # our node is gone
        return []
    return list(done)
