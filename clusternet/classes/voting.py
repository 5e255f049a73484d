"""Let labelled pixels vote on the class of each cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clusternet.colours import RGB
from clusternet.errors import GridMismatchError, LabelError, SettingsError
from clusternet.labels.reading import Labels, open_labels_onto
from clusternet.labels.rules import LabelRules
from clusternet.legend.inventory import DRAW_LARGER, LabelInventory
from clusternet.metrics import Counts, contingency_table, majority_mapping
from clusternet.prediction.cluster_maps import ClusterMap, read_clusters
from clusternet.processes.executors import Executor
from clusternet.processes.progress import Progress
from clusternet.raster.categories import read_categories
from clusternet.raster.endings import is_vector
from clusternet.types import IntArray

logger = logging.getLogger(__name__)

Pair = tuple[ClusterMap, Path]


@dataclass
class Votes:
    """Labelled pixels by cluster and class, pooled over maps."""

    num_clusters: int
    """Number of clusters."""
    by_class: dict[int, Counts] = field(default_factory=dict)
    """(clusters,) labelled pixels of each class."""
    names: dict[int, str] = field(default_factory=dict)
    """Class names that label files or the user state."""
    colours: dict[int, RGB] = field(default_factory=dict)
    """Class colours that label files or the user state."""
    basis: str = ""
    """How the classes of several label files were matched; empty if it was by name."""

    @property
    def numbers(self) -> list[int]:
        """The class numbers that have votes, ascending."""
        return sorted(self.by_class)

    @property
    def table(self) -> Counts:
        """(clusters, classes), one column for each of ``numbers``."""
        return np.stack([self.by_class[number] for number in self.numbers], axis=1)

    @property
    def total(self) -> int:
        """Labelled pixels in all."""
        return sum(int(counts.sum()) for counts in self.by_class.values())

    def add(self, clusters: IntArray, labels: IntArray) -> None:
        """Add pixels: clusters and labels, (pixels,) both."""
        numbers, columns = np.unique(labels, return_inverse=True)
        counts = contingency_table(clusters, columns, self.num_clusters, len(numbers))
        for number, column in zip(numbers.tolist(), counts.T, strict=True):
            self.by_class[number] = self.by_class.get(number, 0) + column

    def merge(self, other: Votes) -> None:
        """Add the votes of another map; names and colours stay."""
        for number, counts in other.by_class.items():
            self.by_class[number] = self.by_class.get(number, 0) + counts

    def majority(self) -> IntArray:
        """Return the class of each cluster, see `clusternet.metrics.majority_mapping`."""
        mapping: IntArray = np.array(self.numbers, np.int32)[majority_mapping(self.table)]
        return mapping

    def binary(self, threshold: float) -> IntArray:
        """Return class 1 for clusters of which at least this share of labelled pixels is 1.

        The rule of the published code; all others are class 0.
        """
        for number in self.numbers:
            if number > 1:
                raise LabelError(
                    f"--rule binary: expected labels 0 and 1, found {number}; take --rule majority."
                )
        # a cluster without labelled pixels has 0 >= 0, so it is excluded by itself
        ones = self.by_class.get(1, np.zeros(self.num_clusters, np.int64))
        labelled = self.labelled()
        return ((labelled > 0) & (ones >= threshold * labelled)).astype(np.int32)

    def labelled(self) -> Counts:
        """Return the labelled pixels of each cluster; (clusters,)."""
        counts: Counts = self.table.sum(axis=1)
        return counts

    def purity(self, mapping: IntArray) -> NDArray[np.float64]:
        """Return the share of labelled pixels that have the cluster's class; NaN without any."""
        hits = np.zeros(self.num_clusters, np.int64)
        for number, counts in self.by_class.items():
            hits += np.where(mapping == number, counts, 0)
        labelled = self.labelled()
        return np.where(labelled > 0, hits / np.maximum(labelled, 1), np.nan)


def check_fraction(fraction: float) -> None:
    """Raise SettingsError if this is no share of the label files."""
    if not 0 < fraction <= 1:
        raise SettingsError(
            f"--gt_fraction: expected a number above 0 and at most 1, received {fraction:g}."
        )


def draw_labels(pairs: Sequence[Pair], fraction: float, seed: int) -> list[Pair]:
    """Keep a random share of the label files (at least one), and the maps that go with them."""
    check_fraction(fraction)
    files = sorted({path for _, path in pairs})
    count = max(round(fraction * len(files)), 1)
    chosen = np.random.default_rng(seed).permutation(len(files))[:count]
    drawn = {files[index] for index in chosen}
    if count < len(files):
        logger.info("labels: %d of %d files drawn.", count, len(files))
    return [pair for pair in pairs if pair[1] in drawn]


def count_votes(
    pairs: Sequence[Pair],
    num_clusters: int,
    rules: LabelRules,
    *,
    left_out: str = "",
    executor: Executor | None = None,
) -> Votes:
    """Count labelled pixels by cluster and class, window by window.

    Args:
        pairs: maps and their label files.
        num_clusters: of all maps.
        rules: how labels are read.
        left_out: why label files were left out, if some were.
        executor: where maps are counted; None counts them in this process.

    Raises:
        LabelError: if labels hold unexpected classes, or no pixel is labelled.
        GridMismatchError: if labels cannot be laid over their map, or none overlaps its map.
    """
    classes = rules.common.classes
    several = len(rules.common.statements) > 1
    votes = Votes(
        num_clusters,
        names=dict(classes.names),
        colours=dict(classes.colours),
        basis=rules.common.basis() if several else "",
    )
    overlapping = 0
    with Progress(total=sum(m.num_pixels for m, _ in pairs), desc="read labels", unit="px") as bar:
        if executor is None:
            tallies: Iterator[_Tally] = (
                _count_pair(pair, num_clusters, rules, bar.update) for pair in pairs
            )
        else:
            tallies = _count_elsewhere(pairs, num_clusters, rules, bar.update, executor)
        for (cluster_map, path), tally in zip(pairs, tallies, strict=True):
            overlapping += tally.overlaps
            votes.merge(tally.votes)
            _log_share(cluster_map, path, tally)
            if not classes.colours and not is_vector(path):
                _add_colours(votes, path, rules)
    if not overlapping:
        raise GridMismatchError(
            f"{pairs[0][1]}: does not overlap {pairs[0][0].path}"
            + (f", nor does any other of {len(pairs)} pairs" if len(pairs) > 1 else "")
            + "; is the CRS of both stated correctly?"
        )
    if not votes.by_class:
        why = rules.inventory.why_none()
        raise LabelError(
            f"{pairs[0][1]}: no pixel of the maps has a label" + (f": {why}." if why else ".")
        )
    rules.inventory.report(advice=DRAW_LARGER, left_out=left_out)
    return votes


@dataclass
class _Tally:
    """The votes of one map."""

    votes: Votes
    overlaps: bool


def _count_pair(
    pair: Pair, num_clusters: int, rules: LabelRules, progress: Callable[[int], object]
) -> _Tally:
    cluster_map, path = pair
    tally = _Tally(Votes(num_clusters), overlaps=False)
    with open_labels_onto(path, cluster_map.profile, rules) as labels:
        tally.overlaps = labels.overlaps
        if labels.overlaps:
            _count_map(tally.votes, cluster_map, labels, rules, progress)
    return tally


def _count_map(
    votes: Votes,
    cluster_map: ClusterMap,
    labels: Labels,
    rules: LabelRules,
    progress: Callable[[int], object],
) -> None:
    with cluster_map.open() as raster:
        for window in cluster_map.windows():
            values, valid = labels.read(window)
            if valid.any():  # elsewhere the map need not be read
                clusters, mapped = read_clusters(raster, window)
                valid &= mapped
                rules.inventory.add_used(values[valid])
                votes.add(clusters[valid], values[valid])
            progress(values.size)


def _log_share(cluster_map: ClusterMap, path: Path, tally: _Tally) -> None:
    if not tally.overlaps:
        logger.info("%s does not reach %s.", path, cluster_map.path)
        return
    labelled, pixels = tally.votes.total, cluster_map.num_pixels
    logger.info(
        "%s: labels on %d of the %d pixels of %s (%.2f %%).",
        path, labelled, pixels, cluster_map.path, 100 * labelled / pixels,
    )  # fmt: skip


@dataclass(frozen=True)
class _VoteTask:
    """A map to count in another process."""

    pair: Pair
    num_clusters: int
    rules: LabelRules

    def __str__(self) -> str:
        """Name the map, for messages."""
        return str(self.pair[0].path)


def _count_elsewhere(
    pairs: Sequence[Pair],
    num_clusters: int,
    rules: LabelRules,
    progress: Callable[[int], object],
    executor: Executor,
) -> Iterator[_Tally]:
    tasks = (_VoteTask(pair, num_clusters, rules.of_file(pair[1])) for pair in pairs)
    results = executor.map(_count_task, tasks, ordered=True)
    for index, (tally, inventory) in results:
        rules.inventory.merge(inventory)
        progress(pairs[index][0].num_pixels)
        yield tally


def _count_task(task: _VoteTask) -> tuple[_Tally, LabelInventory]:
    tally = _count_pair(task.pair, task.num_clusters, task.rules, lambda _: None)
    return tally, task.rules.inventory


def _add_colours(votes: Votes, path: Path, rules: LabelRules) -> None:
    """Add the colours of a label raster's classes; a class keeps the first colour it got.

    A colour table has an entry for every value of its data type. So colours are used of values that
    the label files name, and of classes that have votes.
    """
    onto = rules.common.renumbering(path)
    common = {number: number for number in votes.by_class} if onto.shares_numbers else {}
    common |= onto.changes
    for number, colour in read_categories(path)[1].items():
        if number in common:
            votes.colours.setdefault(common[number], colour)
