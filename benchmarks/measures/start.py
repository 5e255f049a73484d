"""How long a command takes until it prints its help."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from measures.isolation import Figures
from measures.material import ROOT


def measure_start(repeats: int = 3) -> Figures:
    """Time ``--help`` of every script; median seconds."""
    scripts = [ROOT / "main.py", *sorted((ROOT / "tools").glob("*.py"))]
    return {script.name: statistics.median(_help(script, repeats)) for script in scripts}


def _help(script: Path, repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        subprocess.run(  # noqa: S603  (our own scripts)
            [sys.executable, script, "--help"], check=True, capture_output=True
        )
        times.append(time.perf_counter() - begin)
    return times
