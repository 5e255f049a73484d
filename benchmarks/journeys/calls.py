"""Whole processes, timed: by the clock, and by the processor time of all that they start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from measures.isolation import Figures, gib

_TOLD = re.compile(r"s of processor time \((.*?)\)")
_PART = re.compile(r"([a-z ]+?) ([\d.]+)(?:, |$)")
DEFAULT_EPOCHS = 10


def timed(step: str, arguments: Sequence[str | Path]) -> Figures:
    """Run a process to its end.

    Returns:
        ``step``, ``wall`` and ``cpu`` seconds, ``gib`` of the largest process, and the seconds of
        each phase that the process told on stderr.

    Raises:
        SystemExit: if it fails, with what it said.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        begin = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603  our own commands and scripts
            [sys.executable, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begin
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise SystemExit(f"{step} failed:\n{text[-2000:]}")
    told = _TOLD.search(text)
    phases = {name: float(value) for name, value in _PART.findall(told[1])} if told else {}
    return {
        "step": step, "wall": wall, "cpu": usage.ru_utime + usage.ru_stime,
        "gib": gib(usage.ru_maxrss), "phases": phases,
    }  # fmt: skip


def our_journey(images: Path, labels: Path, work: Path, epochs: int) -> list[Figures]:
    """Time the commands from rasters to class maps at their defaults, each in a new process."""
    patches, run, maps = work / "patches", work / "run", work / "maps"
    shorter = () if epochs == DEFAULT_EPOCHS else ("--num_epochs", str(epochs))
    calls: list[tuple[str, list[Any]]] = [
        ("tile", [images, "--output_folder", patches]),
        ("train", [patches, "--output", run, *shorter]),
        ("predict", [run, images, "--output_folder", maps]),
        ("classes", [maps, labels, "--run", run, "--output_folder", work / "classes"]),
    ]
    rows = []
    for step, arguments in calls:
        print(f"  {step} ...", file=sys.stderr, flush=True)
        row = timed(step, ["-m", "clusternet", step, *arguments, "--verbose"])
        rows.append(_whole_training(row, run, epochs) if step == "train" else row)
    return rows


def _whole_training(row: Figures, run: Path, epochs: int) -> Figures:
    """Add the epochs that were not run, each as long as the median of those that were."""
    missing = DEFAULT_EPOCHS - epochs
    if not missing:
        return row
    lines = (run / "history.csv").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    column = lines[0].split(",").index("seconds")
    seconds = [float(line.split(",")[column]) for line in lines[1:]]
    more = missing * median(seconds[1:] or seconds)
    share = row["cpu"] / row["wall"]
    phases = dict(row["phases"])
    if "computing" in phases:
        phases["computing"] += more * share
    added = {"wall": row["wall"] + more, "cpu": row["cpu"] + more * share}
    return row | added | {"phases": phases, "reckoned_from_epochs": epochs}
