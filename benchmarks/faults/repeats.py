"""The same command again, and in other surroundings: bitwise the same run or not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from clusternet.files.outputs import Kind, new_file, new_folder
from faults.calls import script_path
from faults.material import TRAINING
from faults.outcomes import Part
from faults.trees import differences, essence

_ANY = Kind("folder of trials", lambda _: True, lambda _: lambda _: True)
_MEGABYTE = 2**20


@dataclass(frozen=True)
class Surroundings:
    """What differs from the first run."""

    name: str
    words: tuple[object, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    cores: tuple[int, ...] = ()
    is_elsewhere: bool = False
    may_differ: bool = False
    """Equal bits are not promised."""


def _threads(number: int) -> dict[str, str]:
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    return dict.fromkeys(names, str(number))


_CASES = (
    Surroundings("the same command again"),
    Surroundings("--workers 2", ("--workers", 2)),
    Surroundings("--workers 4", ("--workers", 4)),
    Surroundings("patches elsewhere, written in another order", is_elsewhere=True),
    Surroundings("one thread", variables=_threads(1), may_differ=True),
    Surroundings("one core (taskset -c 0)", cores=(0,), may_differ=True),
    Surroundings("one core, two threads by TF_NUM_INTRAOP_THREADS, TF_NUM_INTEROP_THREADS and "
                 "OMP_NUM_THREADS", variables=_threads(2), cores=(0,), may_differ=True),
)  # fmt: skip


def try_repeats(given: Path, work: Path) -> Part:
    """Train in all surroundings, and compare."""
    part = Part("repeats")
    _copy_in_another_order(given / "patches", work / "elsewhere" / "patches")
    cases = (Surroundings("first"), *_CASES)
    with ThreadPoolExecutor(2) as lanes:
        runs = list(lanes.map(lambda case: _train(given, work, case), cases))
    first = essence(runs[0])
    for case, run in zip(_CASES, runs[1:], strict=True):
        others = differences(essence(run), first)
        if case.may_differ:
            row = part.row(case.name, f"not promised; differs in {others}" if others else "equal")
            row.count(held=True)
        else:
            part.judge(case.name, f"differs in {others}" if others else "")
    _syncing(part, work)
    return part


def _copy_in_another_order(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*"), reverse=True):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _train(given: Path, work: Path, case: Surroundings) -> Path:
    patches = work / "elsewhere" / "patches" if case.is_elsewhere else given / "patches"
    run = work / f"run {case.name[:20]}".replace("/", " ")
    words = (script_path("main"), patches, "--output", run, *TRAINING, "--base_filters", 8,
             "--num_epochs", 3, *case.words)  # fmt: skip
    cores = set(case.cores)
    process = subprocess.run(  # noqa: S603
        [sys.executable, *map(str, words)], env=os.environ | case.variables, check=False,
        capture_output=True, text=True,
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )  # fmt: skip
    if process.returncode:
        raise RuntimeError(f"{case.name}: {process.stderr[-300:]}")
    return run


def _syncing(part: Part, work: Path) -> None:
    """Measure what it costs that files are put on the disk before they are renamed."""

    def write_file() -> None:
        with new_file(work / "large", overwrite=True) as path:
            path.write_bytes(os.urandom(10 * _MEGABYTE))

    def write_folder() -> None:
        shutil.rmtree(work / "many", ignore_errors=True)
        with new_folder(work / "many", kind=_ANY) as folder:
            for number in range(1000):
                (folder / str(number)).write_bytes(b"x" * 2000)

    for name, write in (("a file of 10 MB", write_file), ("a folder of 1,000 files", write_folder)):
        synced = _fastest(write)
        with mock.patch("os.fsync"), mock.patch("clusternet.files.placing._sync_disk", bool):
            fast = _fastest(write)
        row = part.row(f"syncing {name}")
        row.count(held=True)
        row.note = f"{1e3 * synced:.0f} ms, {1e3 * fast:.0f} ms without"


def _fastest(write: Callable[[], None]) -> float:
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        write()
        times.append(time.perf_counter() - begin)
    return min(times)
