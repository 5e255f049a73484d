"""Which process a file on the disk belongs to, and whether that process still runs."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_TOKEN = re.compile(r"([0-9a-f]{6})([0-9a-f]{6})([0-9a-f]{6})-(\d+)-(\d+)")


@dataclass(frozen=True)
class Owner:
    """Identifies a process among all processes, on this machine and on others."""

    host: str
    """Six digits of the hash of the host name; a container has its own host name."""
    boot: str
    """Six digits of the hash of the boot id, which differs each time the machine starts."""
    space: str
    """Six digits of the hash of the pid namespace: containers number their processes anew."""
    pid: int
    start: int
    """Start time of the process, because pids are used again; 0 where it is not known."""

    @classmethod
    def this(cls) -> Owner:
        """Return the calling process."""
        return cls(*_surroundings(), os.getpid(), _start_of(os.getpid()))

    @classmethod
    def parse(cls, token: str) -> Owner | None:
        """Return the owner that a token names; None if the text is no token."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        return cls(match[1], match[2], match[3], int(match[4]), int(match[5]))

    @property
    def token(self) -> str:
        """Text that identifies it in file names."""
        return f"{self.host}{self.boot}{self.space}-{self.pid}-{self.start}"

    @property
    def shares_kernel(self) -> bool:
        """True if it runs or ran on this machine since the last boot."""
        return self.boot == _surroundings()[1]

    def is_gone(self) -> bool | None:
        """Tell whether it has ended; None if that cannot be told from here."""
        host, boot, space = _surroundings()
        if self.boot != boot:
            # same host, other boot: a process does not survive the restart of its machine
            return True if self.host == host else None
        if self.space != space:
            return None
        return not _exists(self.pid) or (self.start and _start_of(self.pid)) not in (0, self.start)


@lru_cache(maxsize=1)
def _surroundings() -> tuple[str, str, str]:
    """Return six digits each of the hash of the host name, the boot id and the pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        boot = space = ""
    digests = (hashlib.sha256(text.encode()).hexdigest() for text in (socket.gethostname(), boot))
    host, start = (digest[:6] for digest in digests)
    return host, start, hashlib.sha256(space.encode()).hexdigest()[:6]


def _start_of(pid: int) -> int:
    """Return the start time of a process in clock ticks since boot; 0 if it is not known."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        # Field 22 of proc(5). The second field, the name in brackets, may hold spaces and
        # brackets itself, so fields are counted from the last bracket on.
        return int(status.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _exists(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # os.kill would end it there; an open lock file cannot be deleted anyway
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # no permission: it is a process of another user
        return True
    return True
