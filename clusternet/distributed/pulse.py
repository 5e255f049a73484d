"""Whether a cluster is still there.

If its head is gone, calls of Ray wait for a minute, and then Ray ends the process.
"""

from __future__ import annotations

import socket
import time

from clusternet.distributed.ray_library import ray
from clusternet.errors import WorkerError
from clusternet.processes.interrupts import interrupts

_ASK_EVERY = 5.0  # seconds
_CONNECT = 2.0  # seconds that a connection may take
_PAUSE = 0.5  # seconds, while there is no answer
_PATIENCE = 15.0  # seconds without an answer


class Pulse:
    """Asks the head of the cluster that this process is connected to for a sign of life."""

    def __init__(self) -> None:
        """Take the address of the head."""
        self._address = str(ray.get_runtime_context().gcs_address)
        self._felt = time.monotonic()

    def check(self, *, now: bool = False) -> None:
        """Return if the head answers; it is asked every few seconds.

        Args:
            now: ask in any case, as before calls that would wait for it.

        Raises:
            WorkerError: if it does not answer for a while.
            KeyboardInterrupt: if a signal has asked to stop.
        """
        begin = time.monotonic()
        if not now and begin - self._felt < _ASK_EVERY:
            return
        while not self._answers():
            interrupts.check()
            if time.monotonic() - begin > _PATIENCE:
                raise WorkerError(
                    f"Ray: the cluster at {self._address} is gone (its head does not answer); what "
                    "is finished stays. Start it again, and go on with --skip_existing, or "
                    "--resume in training."
                )
            time.sleep(_PAUSE)
        self._felt = time.monotonic()

    def _answers(self) -> bool:
        host, _, port = self._address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT):
                return True
        except OSError:
            return False
