"""Which process something on the disk belongs to, and whether that process is still there."""

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
    """A process as it can be told apart from all others, on this machine and elsewhere."""

    host: str
    """Name of the machine, or of the container; six digits that stand for it in a token."""
    boot: str
    """What differs each time that the machine starts."""
    space: str
    """Which numbers of processes mean anything to each other: containers count for themselves."""
    pid: int
    start: int
    """When the process started; 0 where the system does not say. Numbers are used again."""

    @classmethod
    def this(cls) -> Owner:
        """Return the process that asks."""
        return cls(*_surroundings(), os.getpid(), _start_of(os.getpid()))

    @classmethod
    def parse(cls, token: str) -> Owner | None:
        """Return the owner that a token names; None if it is none."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return None
        return cls(found[1], found[2], found[3], int(found[4]), int(found[5]))

    @property
    def token(self) -> str:
        """What stands for it in the name of a file."""
        return f"{self.host}{self.boot}{self.space}-{self.pid}-{self.start}"

    @property
    def shares_kernel(self) -> bool:
        """True if it runs, or ran, on this machine since it started."""
        return self.boot == _surroundings()[1]

    def is_gone(self) -> bool | None:
        """Tell whether it has ended; None if that cannot be told from here."""
        host, boot, space = _surroundings()
        if self.boot != boot:
            return True if self.host == host else None
        if self.space != space:
            return None
        return not _exists(self.pid) or (self.start and _start_of(self.pid)) not in (0, self.start)


@lru_cache(maxsize=1)
def _surroundings() -> tuple[str, str, str]:
    """Return six digits each that stand for the host, its start, and the space of processes."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        boot = space = ""
    digests = (hashlib.sha256(text.encode()).hexdigest() for text in (socket.gethostname(), boot))
    host, start = (digest[:6] for digest in digests)
    return host, start, hashlib.sha256(space.encode()).hexdigest()[:6]


def _start_of(pid: int) -> int:
    """Return when a process started, in ticks since the machine did; 0 if it is not known."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return int(status.rpartition(")")[2].split()[19])  # the name may hold anything
    except (OSError, ValueError, IndexError):
        return 0


def _exists(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # to ask would end it; locks there tell by other means
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True
