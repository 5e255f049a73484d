"""The commands with and without Ray: what one worker costs, and what more workers bring."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measures.isolation import Figures

from scaling.material import Material

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "RAY_worker_niceness": "0",
}
"""Environment of every command measured: a worker has one thread, and the priority of the command.
Ray gives workers a low priority (nice 15), which would count on a busy machine."""
_COMMAND = (sys.executable, "-m", "clusternet")
_SURVEY = (sys.executable, str(Path(__file__).with_name("survey_command.py")))
_LONG = 300.0  # seconds of the run whose overhead is given


@dataclass(frozen=True)
class Jobs:
    """How large the small and the large job of each stage are."""

    side: int = 2048
    """Of a scene, in pixels."""
    scenes: dict[str, tuple[int, int]] | None = None
    """Scenes or maps of the small and the large job, by stage."""
    patch: int = 256
    """Side of the patches that are tiled, surveyed and trained on."""
    base_filters: int = 16
    """Of the network that predicts and is trained."""
    repeats: int = 2
    """Times that each command is called; the shortest counts."""

    def sizes(self, stage: str) -> tuple[int, int]:
        """Return the scenes (patches for survey and train) of the small and the large job."""
        return (self.scenes or _SIZES)[stage]


_SIZES = {
    "tile": (4, 24), "survey": (100, 1500), "predict": (1, 4), "classes": (5, 40),
    "evaluate": (10, 100), "train": (16, 96),
}  # fmt: skip


def commands(material: Material, jobs: Jobs) -> dict[str, Callable[[int, Path], Sequence[str]]]:
    """Return a function for each stage: count of scenes and output -> words of the command."""
    patch = (str(jobs.patch), str(jobs.patch))
    train = ("--num_epochs", "1", "--epoch_megapixels", "0", "--train_batch_size", "4",
             "--num_clusters", "20", "--base_filters", str(jobs.base_filters))  # fmt: skip
    return {
        "tile": lambda count, out: (
            *_COMMAND, "tile", str(material.scenes(count)), "--output_folder", str(out),
            "--patch_shape", *patch),
        "survey": lambda count, out: (*_SURVEY, str(material.patches(count, jobs.patch))),
        "predict": lambda count, out: (
            *_COMMAND, "predict", str(material.run(jobs.base_filters)),
            str(material.scenes(count)), "--output_folder", str(out)),
        "classes": lambda count, out: (
            *_COMMAND, "classes", str(material.maps(count)), str(material.labels(count)),
            "--output_folder", str(out)),
        "evaluate": lambda count, out: (
            *_COMMAND, "evaluate", str(material.maps(count)), str(material.labels(count)),
            "--output_folder", str(out), "--clusters"),
        "train": lambda count, out: (
            *_COMMAND, "train", str(material.patches(count, jobs.patch)), "--output", str(out),
            *train),
    }  # fmt: skip


def can_train() -> bool:
    """Tell whether this version trains on several workers."""
    said = subprocess.run(  # noqa: S603  # our own module, no shell
        [*_COMMAND, "train", "--help"], capture_output=True, text=True
    )
    return "--num_workers" in said.stdout


def measure_overhead(
    material: Material, jobs: Jobs, stages: Sequence[str], work: Path
) -> Iterator[Figures]:
    """Compare each command with the same one on one Ray worker, for a small and a large job."""
    made = commands(material, jobs)
    for stage in stages:
        seconds: dict[str, list[float]] = {"plain": [], "ray": []}
        for count in jobs.sizes(stage):
            words = made[stage](count, work / "out")
            plain = (*words, "--workers", "1") if stage == "tile" else words
            cases = {"plain": plain, "ray": (*words, "--num_workers", "1")}
            times = _side_by_side(cases, work / "out", jobs.repeats)
            for kind, value in times.items():
                seconds[kind].append(value)
        yield {"stage": stage, "counts": jobs.sizes(stage), **seconds} | overhead(
            jobs.sizes(stage), seconds["plain"], seconds["ray"]
        )


def measure_workers(
    material: Material, jobs: Jobs, stages: Sequence[str], numbers: Sequence[int], work: Path
) -> Iterator[Figures]:
    """Time the large job on 1, 2, ... Ray workers of one thread."""
    made = commands(material, jobs)
    for stage in stages:
        words = made[stage](jobs.sizes(stage)[1], work / "out")
        cases = {str(number): (*words, "--num_workers", str(number)) for number in numbers}
        times = _side_by_side(cases, work / "out", jobs.repeats)
        for number in numbers:
            speedup = times[str(numbers[0])] / times[str(number)]
            yield {
                "stage": stage, "workers": number, "seconds": times[str(number)],
                "a_second": jobs.sizes(stage)[1] / times[str(number)], "speedup": speedup,
                "efficiency": speedup / number * numbers[0],
            }  # fmt: skip


def overhead(
    counts: Sequence[int], plain: Sequence[float], ray: Sequence[float]
) -> dict[str, float]:
    """Reckon what Ray adds: seconds at the start, a factor on the work, and both in five minutes.

    Args:
        counts: of the small and the large job.
        plain: their seconds without Ray.
        ray: their seconds with one Ray worker.
    """
    (small, large), step = counts, counts[1] - counts[0]
    a_piece = (plain[1] - plain[0]) / step
    a_piece_ray = (ray[1] - ray[0]) / step
    start, start_ray = plain[0] - small * a_piece, ray[0] - small * a_piece_ray
    pieces = (_LONG - start) / a_piece if a_piece > 0 else float(large)
    long_ray = start_ray + pieces * a_piece_ray
    return {
        "start_seconds": start_ray - start,
        "work_factor": a_piece_ray / a_piece if a_piece > 0 else float("nan"),
        "share_of_five_minutes": long_ray / (start + pieces * a_piece) - 1,
    }


def _side_by_side(
    cases: Mapping[str, Sequence[str]], output: Path, repeats: int
) -> dict[str, float]:
    """Return the shortest time of each command; they take turns, as the machine may be busy."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, words in cases.items():
            times[name].append(_time(words, output))
    return {name: min(values) for name, values in times.items()}


def _time(words: Sequence[str], output: Path) -> float:
    for folder in output.parent.glob(f"{output.name}*"):
        shutil.rmtree(folder)
    environment: dict[str, Any] = os.environ | ONE_THREAD
    start = time.perf_counter()
    done = subprocess.run(  # noqa: S603  # our own modules, no shell
        words, capture_output=True, text=True, env=environment
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr[-1000:]}")
    return seconds
