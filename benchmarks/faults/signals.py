"""Signals at random moments, on a machine that is busy: every command ends cleanly."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clusternet.errors import RunError
from clusternet.training.run import load_run
from faults.calls import Outcome, script_path
from faults.material import TRAINING
from faults.outcomes import Part
from faults.trees import is_hidden
from faults.zygote import PATIENCE

MOST_SECONDS, AT_ONCE = 5.0, 1.0
_LANES = 2
_INTERRUPTED = 130
_START_SECONDS = {"main": 8.0, "full_prediction": 6.0}  # to load everything, on a busy machine
_SECOND_AFTER = 0.4  # seconds: those that come together are one
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOAD = "while True: pass"


@dataclass(frozen=True)
class Trial:
    """One signal, or two."""

    kind: str
    name: str
    """The command."""
    words: tuple[str, ...]
    out: Path
    moment: float
    """Seconds from when the command answers signals."""
    number: signal.Signals
    insists: bool = False

    @property
    def errors(self) -> Path:
        """Where its stderr goes."""
        return self.out.with_suffix(".err")


def plan(given: Path, work: Path, seed: int, count: int) -> list[Trial]:
    """Return so many trials: a quarter start, one in eight gets a second signal, others train."""
    rng = random.Random(seed)  # noqa: S311
    trials = []
    for index in range(count):
        out = work / f"out{index}"
        number = rng.choice(_SIGNALS)
        if index < count // 4:
            name = "main" if index % 2 == 0 else rng.choice(list(_OTHERS))
            moment = rng.uniform(0, _START_SECONDS.get(name, 2.5))
            kind = "main.py starts" if name == "main" else "other commands start and work"
            trials.append(Trial(kind, name, _words(name, given, out), out, moment, number))
        else:
            insists = index % 6 == 0
            kind = "a second signal" if insists else "main.py trains"
            trials.append(Trial(kind, "main", _words("main", given, out), out,
                                rng.uniform(0, 5), number, insists))  # fmt: skip
    return trials


_OTHERS = {
    "full_prediction": "{given}/run1 {given}/images --output_folder {out} --confidence",
    "patch_generator": "{given}/images --output_folder {out} --patch_shape 16 16 --stride 2 2",
    "clusters2classes": "{given}/maps1 {given}/labels --output_folder {out}",
    "evaluation": "{given}/classes1 {given}/labels --output_folder {out}",
    "rasterization": "{given}/shapes.gpkg {given}/images/east.tif {out}.tif",
}


def _words(name: str, given: Path, out: Path) -> tuple[str, ...]:
    if name == "main":
        return (str(given / "patches"), "--output", str(out), "--num_epochs", "500", *TRAINING)
    return tuple(word.format(given=given, out=out) for word in _OTHERS[name].split())


def try_signals(given: Path, work: Path, seed: int, count: int) -> Part:
    """Send so many signals."""
    for number in _SIGNALS:  # what nohup and background jobs ignore their children would, too
        signal.signal(number, signal.SIG_DFL)
    part, trials = Part("signals"), plan(given, work, seed, count)
    lock, slowest = threading.Lock(), dict.fromkeys((t.kind for t in trials), 0.0)

    def work_off() -> None:
        with _Forked() as forked:
            while True:
                with lock:
                    if not trials:
                        return
                    trial = trials.pop(0)
                is_start = trial.kind.endswith(("starts", "start and work"))
                ended, seconds = _started(trial) if is_start else forked.tried(trial)
                fault = _fault(trial, ended, seconds)
                with lock:
                    part.judge(trial.kind, fault, f"{trial.number.name} after {trial.moment:.2f} s")
                    slowest[trial.kind] = max(slowest[trial.kind], seconds)

    with _busy_machine():
        lanes = [threading.Thread(target=work_off) for _ in range(_LANES)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
    for row in part.rows:
        row.note = f"the slowest took {slowest[row.what]:.1f} s"
    return part


@contextmanager
def _busy_machine() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", _LOAD]) for _ in range(2)]  # noqa: S603
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _started(trial: Trial) -> tuple[Outcome, float]:
    """Start a command afresh, and send its signal; return how it ended, and how long it took."""
    words = [sys.executable, str(script_path(trial.name)), *trial.words]
    with trial.errors.open("w") as errors:
        process = subprocess.Popen(words, stdout=errors, stderr=errors)  # noqa: S603
    while process.poll() is None and not _answers(process.pid):
        time.sleep(0.005)
    with_end = time.monotonic() + trial.moment
    while process.poll() is None and time.monotonic() < with_end:
        time.sleep(0.005)
    if process.poll() is None:
        process.send_signal(trial.number)
    seconds = _until_the_end(process.pid)
    process.kill()
    return Outcome(process.wait(), "", trial.errors.read_text()), seconds


def _until_the_end(number: int) -> float:
    """Wait until a process has ended; return the seconds, or its processor time if that is less.

    On a busy machine the clock says less of the process than of the others.
    """
    begin, first = time.monotonic(), _processor_time(number)
    last = first
    while time.monotonic() - begin < PATIENCE:
        now = _processor_time(number)
        if now is None:
            break
        last = now
        time.sleep(0.005)
    return min(time.monotonic() - begin, (last or 0) - (first or 0) or math.inf)


def _processor_time(number: int) -> float | None:
    """Return the processor time of a process in seconds; None if it has ended."""
    try:
        status = Path(f"/proc/{number}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = status.rpartition(")")[2].split()
    if fields[0] == "Z":
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _answers(number: int) -> bool:
    """Tell whether a process has come to its first line, which takes over the signals."""
    try:
        status = Path(f"/proc/{number}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    caught = int(status.split("SigCgt:")[1].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


class _Forked:
    """Commands that need not import anything, see zygote.py."""

    def __enter__(self) -> _Forked:
        words = [sys.executable, str(Path(__file__).with_name("zygote.py"))]
        self._zygote = subprocess.Popen(  # noqa: S603
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._read()
        return self

    def __exit__(self, *_: object) -> None:
        if self._zygote.stdin:
            self._zygote.stdin.close()
        self._zygote.wait()

    def _read(self) -> object:
        if not self._zygote.stdout:
            raise RuntimeError("no pipe")
        return json.loads(self._zygote.stdout.readline())

    def _ask(self, value: object) -> object:
        if self._zygote.stdin:
            self._zygote.stdin.write(json.dumps(value) + "\n")
            self._zygote.stdin.flush()
        return self._read()

    def tried(self, trial: Trial) -> tuple[Outcome, float]:
        number = int(str(self._ask([trial.name, str(trial.errors), *trial.words])))
        while not (trial.errors.exists() and trial.errors.stat().st_size):
            time.sleep(0.005)
        time.sleep(trial.moment)
        os.kill(number, trial.number)
        if trial.insists:
            time.sleep(_SECOND_AFTER)
            os.kill(number, trial.number)  # it waits to be asked for its status, so it is there
        seconds = _until_the_end(number)
        return Outcome(int(str(self._ask(number))), "", trial.errors.read_text()), seconds


def _fault(trial: Trial, ended: Outcome, seconds: float) -> str:
    if ended.status not in (0, _INTERRUPTED):
        return f"exit status {ended.status}: {ended.err[-300:]}"
    lines = [line for line in ended.err.splitlines() if line.startswith("interrupted")]
    if ended.status == _INTERRUPTED and len(lines) != 1:
        return f"{len(lines)} lines on the end: {ended.err[-300:]}"
    if trial.name == "main" and (told := ended.told_wrong()):
        return told
    if seconds > (AT_ONCE if trial.insists else MOST_SECONDS):
        return f"took {seconds:.1f} s to end"
    return _left_wrong(trial)


def _left_wrong(trial: Trial) -> str:
    beside = [path.name for path in trial.out.parent.glob(f".*{trial.out.name}*")]
    if beside and not trial.insists:
        return f"left {beside[0]}"
    if trial.name != "main" or not trial.out.exists():
        return ""
    inside = [path.name for path in trial.out.rglob(".*") if is_hidden(path.name)]
    if inside and not trial.insists:
        return f"left {inside[0]}"
    try:
        load_run(trial.out)
    except RunError as error:
        mends = trial.insists and "--resume mends it" in str(error)
        return "" if mends else str(error)
    return ""
