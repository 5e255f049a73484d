"""The contingency tables of many maps, counted here or by the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from clusternet.evaluation.contingency import FileContingency, MapHeader, tabulate_file
from clusternet.labels.rules import LabelRules
from clusternet.legend.common_classes import Renumbering
from clusternet.legend.inventory import LabelInventory
from clusternet.metrics import Counts
from clusternet.processes.executors import Executor
from clusternet.types import BoolArray


@dataclass(frozen=True)
class TallyTask:
    """A map to count; see `clusternet.evaluation.contingency.tabulate_file`."""

    header: MapHeader
    label_path: Path
    drawn: BoolArray
    rules: LabelRules
    onto: Renumbering | None
    with_picture: bool

    def __str__(self) -> str:
        """Name the map, for messages."""
        return str(self.header.path)

    @property
    def num_pixels(self) -> int:
        """Pixels of the map."""
        return self.header.shape[0] * self.header.shape[1]


def tally(
    tasks: Sequence[TallyTask],
    inventory: LabelInventory,
    progress: Callable[[int], object],
    executor: Executor | None,
) -> Iterator[tuple[FileContingency, Counts]]:
    """Yield the tables of each map, in order.

    Args:
        tasks: with the rules of all files, or of one each.
        inventory: counts the labels of all files.
        progress: called with numbers of pixels.
        executor: where maps are counted; None counts them in this process.
    """
    if executor is None:
        for task in tasks:
            yield _tabulate(task, progress)
        return
    apart = (replace(task, rules=task.rules.of_file(task.label_path)) for task in tasks)
    for index, (tables, counted) in executor.map(_tabulate_apart, apart, ordered=True):
        inventory.merge(counted)
        progress(tasks[index].num_pixels)
        yield tables


def _tabulate(task: TallyTask, progress: Callable[[int], object]) -> tuple[FileContingency, Counts]:
    return tabulate_file(
        task.header, task.label_path, task.drawn, rules=task.rules, onto=task.onto,
        with_picture=task.with_picture, progress=progress,
    )  # fmt: skip


def _tabulate_apart(task: TallyTask) -> tuple[tuple[FileContingency, Counts], LabelInventory]:
    """Count a map in another process; the labels read are returned, not kept."""
    return _tabulate(task, lambda _: None), task.rules.inventory
