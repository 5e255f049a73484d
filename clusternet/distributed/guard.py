"""End what is left of a local Ray cluster when the command that started it is gone.

python -m clusternet.distributed.guard FOLDER MARK < pipe

The command holds the other end of the pipe. When it ends, even by kill -9, the pipe closes. Then
all processes whose environment has the mark, or whose command line names the folder, are killed,
and the folder is removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

MARK = "CLUSTERNET_RAY_MARK"
"""Environment variable that all processes of a local cluster inherit."""
_TRIES = 50
_PAUSE = 0.1  # seconds


def processes_of(folder: str, mark: str, spare: int = 0) -> list[int]:
    """Return the processes of a local cluster, where the system lists processes as files."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) in (os.getpid(), spare):
            continue
        with suppress(OSError):  # it has ended meanwhile, or is another user's
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes()
            if f"{MARK}={mark}".encode() in environment or folder.encode() in command:
                found.append(int(entry.name))
    return found


def clean(folder: str, mark: str, spare: int = 0) -> None:
    """Kill the processes of a local cluster but ``spare``, and remove its folder."""
    for _ in range(_TRIES):
        left = processes_of(folder, mark, spare)
        for process in left:
            with suppress(OSError):
                os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))
        shutil.rmtree(folder, ignore_errors=True)
        if not left and not Path(folder).exists():
            return
        time.sleep(_PAUSE)


def main() -> None:
    """Wait until the pipe closes, then clean up."""
    folder, mark = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, signal.SIG_IGN)  # signals are for the command
    sys.stdin.buffer.read()
    clean(folder, mark)


if __name__ == "__main__":
    main()
