"""One epoch of this package as a user runs it, phase by phase."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from clusternet.network.sizes import check_shape
from clusternet.settings import TrainingSettings
from measures.isolation import Clock, Figures, epoch_figures

PHASES = ("read", "embed and sample", "K-Means", "label", "train", "save")
EPOCH_PATCHES = 200
"""Of the epoch that is reckoned from the few patches timed."""


def measure_epoch(folder: Path, size: int, settings: TrainingSettings, started: float) -> Figures:
    """Train one epoch and time its phases; the first call of each, which traces, is left out.

    Args:
        folder: patches.
        size: their side in pixels.
        settings: of the run, for one epoch.
        started: wall-clock time at which the process was started.
    """
    from clusternet.patches.batches import BatchLoader
    from clusternet.training import loop, pseudo_labels
    from clusternet.training.learner import Learner
    from clusternet.training.run_writer import RunWriter
    from clusternet.training.train import train

    clocks = {phase: Clock() for phase in PHASES}
    first_step: list[float] = []
    patches = len(list(folder.rglob("*.png")))

    def note_first_step() -> None:
        if not first_step:
            first_step.append(time.time() - started)

    _time_method(Learner, "label", clocks["label"])
    _time_method(Learner, "fit", clocks["train"], note_first_step)
    _time_method(Learner, "embed", clocks["embed and sample"])
    _time_method(Learner, "embed_sample", clocks["embed and sample"])
    _time_method(RunWriter, "_save", clocks["save"])
    for module in (loop, pseudo_labels):
        _time_method(module, "cluster_features", clocks["K-Means"])
    _time_items(BatchLoader, "batches", clocks["read"])
    with tempfile.TemporaryDirectory() as output:
        train(folder, Path(output) / "run", settings)
    rows, cols = check_shape((size, size), settings.padding)
    batch = settings.batch_size((size, size), patches)  # settled by `speed.py`
    return _figures(clocks, settings, batch, patches, rows * cols) | {"first_step": first_step[0]}


def _figures(
    clocks: dict[str, Clock], settings: TrainingSettings, batch: int, patches: int, labelled: int
) -> Figures:
    """Compute seconds a patch, for an epoch of 200 patches or for whole groups."""
    sampled = min(settings.sample_patches, EPOCH_PATCHES) / EPOCH_PATCHES
    grouped = settings.cluster_scope == "batch"
    wall, busy = (_phases(clocks, kind, batch, patches, sampled, grouped) for kind in (0, 1))
    return epoch_figures(wall, busy, patches, labelled)


def _phases(
    clocks: dict[str, Clock], kind: int, batch: int, patches: int, sampled: float, grouped: bool
) -> dict[str, float]:
    """Return seconds a patch of each phase, by the clock (kind 0) or busy (kind 1)."""

    def a_patch(name: str) -> float:
        clock = clocks[name]
        return clock.total()[kind] / max(len(clock.wall), 1) / batch

    def calls(name: str) -> list[float]:
        return (clocks[name].wall, clocks[name].busy)[kind]

    kmeans = calls("K-Means")
    return {
        "read": 0.0 if kind else a_patch("read"),  # waiting is not work
        "embed and sample": a_patch("embed and sample") * (sampled + grouped),
        # the first and last call cluster the sample that the run keeps, others the groups
        "K-Means": kmeans[-1] / EPOCH_PATCHES + sum(kmeans[1:-1]) / patches,
        "label": 0.0 if grouped else a_patch("label"),
        "train": a_patch("train"),
        "save": calls("save")[-1] / EPOCH_PATCHES,
    }


def _time_method(
    owner: Any, name: str, clock: Clock, after: Callable[[], None] | None = None
) -> None:
    real = getattr(owner, name)

    @functools.wraps(real)
    def timed(*args: Any, **kwargs: Any) -> Any:
        with clock.running():
            result = real(*args, **kwargs)
        if after is not None:
            after()
        return result

    setattr(owner, name, timed)


def _time_items(owner: Any, name: str, clock: Clock) -> None:
    """Time the waits for the items that a method yields."""
    real = getattr(owner, name)

    @functools.wraps(real)
    def timed(*args: Any, **kwargs: Any) -> Iterator[Any]:
        items = iter(real(*args, **kwargs))
        while True:
            with clock.running():
                item = next(items, None)
            if item is None:
                return
            yield item

    setattr(owner, name, timed)
