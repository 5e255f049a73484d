"""The parts of the benchmark by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faults.isolated import fresh_process, side_by_side
from faults.outcomes import Part


@dataclass(frozen=True)
class Trials:
    """What a part is given."""

    given: Path
    """Inputs, see `faults.material`; not to be changed."""
    work: Path
    """An empty folder."""
    seed: int = 1
    signals: int = 80
    files: int = 2000
    seconds: float = 240


def prepare(folder: Path) -> None:
    """Make the inputs of all parts; a task for a process of its own."""
    from faults.calls import warm_up
    from faults.material import make_material

    warm_up()
    make_material(folder)


def try_kills(trials: Trials) -> Part:
    """Kill commands at each of their writes."""
    from faults.kills import try_commands, try_training

    tasks = [
        (function, trials.given, trials.work / name, trials.seconds, trials.seed)
        for name, function in (("training", try_training), ("commands", try_commands))
    ]
    return Part.joined("kills", [Part.from_json(found) for found in side_by_side(tasks)])


def try_files(trials: Trials) -> Part:
    """Damage files."""
    from faults.fuzz import fuzz

    return fuzz(trials.given, trials.work, trials.seed, trials.files)


def try_signals(trials: Trials) -> Part:
    """Send signals."""
    from faults.signals import try_signals

    return try_signals(trials.given, trials.work, trials.seed, trials.signals)


def try_disks(trials: Trials) -> Part:
    """Fill disks, take permissions away, link and mount outputs, write one twice."""
    from faults.disks import try_disks

    return Part.from_json(fresh_process(try_disks, trials.given, trials.work, trials.seed))


def try_memory(trials: Trials) -> Part:
    """Limit the memory of commands."""
    from faults.memory import try_memory

    return try_memory(trials.given, trials.work)


def try_repeats(trials: Trials) -> Part:
    """Train again in other surroundings."""
    from faults.repeats import try_repeats

    return try_repeats(trials.given, trials.work)


PARTS: dict[str, Callable[[Trials], Part]] = {
    "kills": try_kills, "signals": try_signals, "disks": try_disks, "memory": try_memory,
    "files": try_files, "repeats": try_repeats,
}  # fmt: skip
