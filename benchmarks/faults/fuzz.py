"""Damage files and test that each is read or refused in one line, without a hang or code run."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from faults.calls import warm_up
from faults.damage import canary
from faults.outcomes import Part
from faults.victims import Victim, make_victims

MOST_SECONDS, MOST_BYTES = 10.0, 2**30
_STARTING_SECONDS = 120.0
_RUNNING = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen",
            "pickle.find_class")  # fmt: skip
"""What Python's audit hook hears when something is executed."""


class Damager:
    """Damages files one by one, and reads them."""

    def __init__(self, given: Path, work: Path, seed: int, *, with_network: bool = True) -> None:
        """Make the sound files; the network library is loaded already."""
        self._work, self._seed = work, seed
        work.mkdir(parents=True)
        self._trap = work / "canary"
        self.victims = make_victims(given, work / "sound", with_network=with_network)
        self._executed: list[str] = []
        self._is_reading = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._is_reading and event in _RUNNING:
            self._executed.append(f"{event} {arguments}"[:200])

    def name(self, number: int) -> str:
        """Return the kind of a file."""
        return self.victims[number % len(self.victims)].name

    def try_one(self, number: int) -> tuple[str, str, bool]:
        """Damage the file of a number and read it.

        Returns:
            the damage, what failed, and whether the file was read.
        """
        victim: Victim = self.victims[number % len(self.victims)]
        rng = random.Random(f"{self._seed}/{number}")  # noqa: S311
        way, content = victim.damaged(rng, canary(self._trap))
        folder = self._work / f"file{number}"
        path = victim.place(content, folder)
        out = self._work / f"out{number}"
        out.mkdir()
        before = memory_now(reset=True)
        begin = time.monotonic()
        self._is_reading = True
        try:
            ended = victim.read(path, out)
        finally:
            self._is_reading = False
        fault = ended.fault(0, 2) or self._harm(begin, before)
        for used in (folder, out):
            shutil.rmtree(used, ignore_errors=True)
        return way, fault, ended.status == 0

    def _harm(self, begin: float, before: int) -> str:
        if self._executed or self._trap.exists():
            said = "; ".join(self._executed) or "the canary"
            self._executed.clear()
            self._trap.unlink(missing_ok=True)
            return f"executed: {said}"
        seconds, grown = time.monotonic() - begin, memory_now() - before
        if seconds > MOST_SECONDS:
            return f"took {seconds:.0f} s"
        return f"took {grown >> 20} MB" if grown > MOST_BYTES else ""


def memory_now(*, reset: bool = False) -> int:
    """Return the most memory that this process has held since it was reset, in bytes."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) << 10
    except (OSError, IndexError, ValueError):  # not Linux: memory is not monitored
        return 0


def fuzz(given: Path, work: Path, seed: int, files: int, workers: int = 2) -> Part:
    """Damage this number of files, in monitored worker processes."""
    part = Part("fuzz")
    watchers = [
        _Watcher(given, work / str(n), seed, range(n, files, workers)) for n in range(workers)
    ]
    while any(not watcher.is_done for watcher in watchers):
        for watcher in watchers:
            watcher.look(part)
    return part


class _Watcher:
    """Sends numbers to a worker, and starts a new worker if it hangs or ends."""

    def __init__(self, given: Path, work: Path, seed: int, numbers: range) -> None:
        self._given, self._work, self._seed = given, work, seed
        self._numbers = list(numbers)
        self._start()

    @property
    def is_done(self) -> bool:
        return not self._numbers

    def _start(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        arguments = (theirs, self._given, self._work, self._seed, self._numbers)
        self._process = spawn.Process(target=_work, args=arguments)
        self._process.start()
        theirs.close()
        self._name, self._since = "", time.monotonic() + _STARTING_SECONDS

    def look(self, part: Part) -> None:
        """Receive one report of the worker, or notice that it hangs or has ended."""
        if self.is_done:
            return
        try:
            if self._pipe.poll(0.05):
                self._take(part, *self._pipe.recv())
            elif time.monotonic() - self._since > MOST_SECONDS + 2:
                self._lose(part, "hangs")
        except EOFError:
            self._process.join()
            self._lose(part, f"ended the process with {self._process.exitcode}")
        if self.is_done:
            self._process.join()

    def _take(self, part: Part, *report: Any) -> None:
        if len(report) == 1:
            self._name, self._since = report[0], time.monotonic()
            return
        way, fault, is_accepted = report
        part.judge(self._name, fault, f"{way}, file {self._numbers.pop(0)}")
        row = part.row(self._name)
        accepted = int(row.note.split()[0] if row.note else 0) + is_accepted
        row.note = f"{accepted} read nevertheless"

    def _lose(self, part: Part, fault: str) -> None:
        self._process.kill()
        self._process.join()
        if not self._name:
            raise RuntimeError("a worker did not start")
        part.judge(self._name, fault, f"file {self._numbers.pop(0)}")
        self._start()


def _work(pipe: Connection, given: Path, work: Path, seed: int, numbers: list[int]) -> None:
    warm_up()
    damager = Damager(given, work / "files", seed)
    for number in numbers:
        pipe.send((damager.name(number),))
        pipe.send(damager.try_one(number))
