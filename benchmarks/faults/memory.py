"""Commands whose memory is limited: one line, whatever library ran out of it, and no hang."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from faults.calls import Outcome, script_path
from faults.disks import commands
from faults.outcomes import Part

MEGABYTES = (250, 400, 700, 1200, 2500)
_NAMES = ("main.py", "full_prediction.py", "clusters2classes.py", "evaluation.py")
_MOST_SECONDS = 120.0  # a command that spins is ended by the limit of its processor time
_HEEDED_SECONDS = 15.0


def try_memory(given: Path, work: Path) -> Part:
    """Start commands with several limits, some of which are enough."""
    part = Part("memory")
    cases = [(name, megabytes) for name in _NAMES for megabytes in MEGABYTES]
    with ThreadPoolExecutor(2) as lanes:
        ends = lanes.map(lambda case: _started(given, work, *case), cases)
        for (name, megabytes), (ended, seconds) in zip(cases, ends, strict=True):
            fault = "" if ended.status == 0 else ended.fault(2)
            if seconds > _MOST_SECONDS:
                fault = f"took {seconds:.0f} s"
            part.judge(f"limited memory: {name}", fault, f"{megabytes} MB")
            row = part.row(f"limited memory: {name}")
            if ended.status == 0 and not row.note:
                row.note = f"{megabytes} MB are enough"
        for name in ("main.py", "clusters2classes.py"):
            fault = _heeds(given, work, name)
            part.judge("limited memory: SIGTERM is heeded", fault, name)
    return part


def _start(
    given: Path, work: Path, name: str, megabytes: int, errors: Path
) -> subprocess.Popen[bytes]:
    script, *words = commands(given, work / f"{name}{megabytes}")[name]
    command = [sys.executable, str(script_path(str(script))), *map(str, words)]
    limited = f'ulimit -v {megabytes << 10} && exec "$@"'
    with errors.open("wb") as stream:
        return subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", limited, "sh", *command], stdout=subprocess.DEVNULL, stderr=stream
        )


def _started(given: Path, work: Path, name: str, megabytes: int) -> tuple[Outcome, float]:
    errors, begin = work / f"{name}{megabytes}.err", time.monotonic()
    process = _start(given, work, name, megabytes, errors)
    try:
        status = process.wait(_MOST_SECONDS + 5)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    return Outcome(status, "", errors.read_text(errors="replace")), time.monotonic() - begin


def _heeds(given: Path, work: Path, name: str) -> str:
    errors = work / f"{name}.err"
    process = _start(given, work, name, 300, errors)
    time.sleep(1.0)
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    try:
        status = process.wait(_HEEDED_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"runs on {_HEEDED_SECONDS:.0f} s after SIGTERM"
    text = errors.read_text(errors="replace")
    if status not in (2, 130) or len(text.splitlines()) != 1:
        return f"exit status {status} after {time.monotonic() - begin:.1f} s: {text[-200:]}"
    return ""
