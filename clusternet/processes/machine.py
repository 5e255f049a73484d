"""How much of this machine a process may use: cores and memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

_GROUPS, _OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Return the cores that this process may run on: batch systems give a job a few of them."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_memory() -> int:
    """Return the bytes of memory for this process; unlimited where the system does not say."""
    return min(_physical_memory(), *_limits(), sys.maxsize)


def _physical_memory() -> int:
    if not hasattr(os, "sysconf"):  # on Windows
        return sys.maxsize
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return sys.maxsize


def _limits() -> Iterator[int]:
    """Yield the limits that containers and batch systems set (cgroups of Linux, version 2)."""
    try:
        groups = _OWN_GROUP.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return
    for group in (line.removeprefix("0::/") for line in groups if line.startswith("0::/")):
        folder = _GROUPS / group
        for each in (folder, *folder.parents):
            try:
                yield int((each / "memory.max").read_text(encoding="ascii"))
            except (OSError, ValueError):  # ValueError: it says that there is no limit
                continue
