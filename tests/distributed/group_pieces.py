"""What the members of a group do in tests; they import it by name."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clusternet.errors import PatchError
from clusternet.processes.groups import Group
from clusternet.processes.progress import Progress

logger = logging.getLogger("clusternet.tests")


@dataclass(frozen=True)
class Task:
    """Where members write what they found."""

    folder: Path
    begun: int = 0
    """Grows when something was achieved."""


def note(group: Group, task: Task, found: object) -> None:
    (task.folder / f"{group.rank}.json").write_text(json.dumps(found))


def exchange(group: Group, task: Task) -> None:
    """Call everything that a group can do."""
    vector = np.float32(10) ** np.arange(-3, 4, dtype=np.float32) * (group.rank + 1)
    sums = [group.sum(vector).tolist() for _ in range(3)]
    gathered = group.gather([f"{group.rank} first", f"{group.rank} second"])
    process = group.once(os.getpid)
    large = group.once(np.arange, 300_000).sum()
    note(group, task, [group.size, sums, gathered, process, int(large), os.getpid()])


def speak(group: Group, task: Task) -> None:
    """Log and draw in every member, as training does."""
    logger.warning("member %d of %d", group.rank, group.size)
    logger.debug("not to be seen")
    for _ in Progress(range(3), "steps"):
        group.gather([1])
    print("after", file=sys.stderr)


def lose_a_member(group: Group, task: Task) -> None:
    """Let the last member die, until that has happened often enough."""
    group.gather([1])
    mark = task.folder / f"begun_{task.begun}"
    if task.begun < 2 and group.rank == group.size - 1:
        mark.touch()
        os._exit(1)
    group.gather([2])
    note(group, task, [group.size, task.begun])


def always_die(group: Group, task: Task) -> None:
    """Let the first member die after it has begun, always."""
    group.gather([1])
    if group.rank == 0:
        os._exit(1)
    group.gather([2])


def refuse(group: Group, task: Task) -> None:
    """Find a damaged patch in the second member, while the first one waits for it."""
    if group.rank == 1:
        raise PatchError("PATCHES/a.png: is damaged.")
    try:
        group.gather([1])
    except KeyboardInterrupt:
        (task.folder / "tidied").touch()
        raise


def blunder(group: Group, task: Task) -> None:
    """Have a fault in the program."""
    raise ZeroDivisionError("a fault")


def wait(group: Group, task: Task) -> None:
    """Work until it is interrupted, and say what is saved."""
    try:
        while True:
            group.gather([time.sleep(0.05)])
            (task.folder / "working").touch()
    except KeyboardInterrupt:
        raise KeyboardInterrupt("epoch 3 is saved.") from None


def outlast(group: Group, task: Task) -> None:
    """Work together until no other member is left, then alone."""
    while group.size > 1:
        group.gather([time.sleep(0.05)])
        (task.folder / "working").touch()
    note(group, task, group.size)
