"""Counts which labels of a command were used, so that a class without any is reported."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clusternet.messages import short, short_value
from clusternet.types import AnyArray, IntArray

logger = logging.getLogger(__name__)

DRAW_LARGER = "draw them at least a pixel wide"
"""Advice about shapes that cover no pixel centre, where no flag labels all touched pixels."""
_MOST_LINES = 8
"""How many classes that lost some of their labels are reported one by one."""


class Fate(IntEnum):
    """Whether a shape gave labels, or why not; over several maps the highest value counts."""

    ABSENT = 0
    """The row of the file is no shape: it has no class or no geometry."""
    OFF_MAP = 1
    """It lies on no map."""
    NO_CENTRE = 2
    """It covers no pixel centre."""
    HIDDEN = 3
    """It lies wholly under later shapes."""
    USED = 4
    """It gives labels."""


_WORDS = {
    Fate.OFF_MAP: "off the map",
    Fate.NO_CENTRE: "covering no pixel centre",
    Fate.HIDDEN: "wholly under later shapes",
}


@dataclass
class LabelInventory:
    """Counts shapes and pixels of each class over all label files of a command."""

    names: Mapping[int, str] = field(default_factory=dict)
    """Names of classes."""
    known: set[int] = field(default_factory=set)
    """The classes that label files name; those without any pixel are reported, too."""
    read: Counter[int] = field(default_factory=Counter)
    """Labelled pixels of each class on the maps, including pixels where a map has no data."""
    used: Counter[int] = field(default_factory=Counter)
    """Labelled pixels of each class that the command used."""
    undeclared: Counter[Path] = field(default_factory=Counter)
    """Pixels of each file that mean no label only by convention (255 in 8-bit rasters)."""
    lacking: Counter[str] = field(default_factory=Counter)
    """Pixels of each class whose name means no class."""
    unused: str = "the maps have no data there"
    """Why some labels that were read are not used."""
    _fates: dict[Path, tuple[IntArray, NDArray[np.int8]]] = field(default_factory=dict)
    """Class and `Fate` of each shape (row) of a file; (rows,) both."""

    def add_shapes(self, path: Path, rows: IntArray, classes: IntArray, fates: AnyArray) -> None:
        """Add the fates of shapes on one map.

        Args:
            path: the vector file.
            rows: (polygons,) the row of the file that each polygon, line or point comes from.
            classes: (polygons,) class of each.
            fates: (polygons,) `Fate` of each.
        """
        # A row is a shape. It may consist of several polygons, the best of which counts.
        size = int(rows.max()) + 1
        of_map = np.zeros(size, np.int8)
        np.maximum.at(of_map, rows, fates)
        numbers = np.zeros(size, np.int32)
        numbers[rows] = classes
        self._add_fates(path, numbers, of_map)

    def _add_fates(self, path: Path, numbers: IntArray, fates: NDArray[np.int8]) -> None:
        # several maps may read one label file: a shape that gives labels on any of them is used
        known = self._fates.get(path)
        self._fates[path] = (numbers, fates if known is None else np.maximum(fates, known[1]))

    def add_read(self, values: IntArray) -> None:
        """Add labels as read; (pixels,) classes."""
        _count(self.read, values)

    def add_used(self, values: IntArray) -> None:
        """Add labels that the command used; (pixels,) classes."""
        _count(self.used, values)

    def merge(self, other: LabelInventory) -> None:
        """Add the pixels and shapes that another process counted."""
        for name in ("read", "used", "undeclared", "lacking"):
            getattr(self, name).update(getattr(other, name))
        for path, (numbers, fates) in other._fates.items():
            self._add_fates(path, numbers, fates)

    def num_shapes(self, fate: Fate) -> int:
        """Return the number of shapes that had this fate."""
        return sum(fates[fate] for fates in self._shapes().values())

    def add_undeclared(self, path: Path, pixels: int) -> None:
        """Add pixels of a file that mean no label only by convention."""
        if pixels:
            self.undeclared[path] += pixels

    def add_lacking(self, name: str, pixels: int) -> None:
        """Add pixels of a class whose name means no class."""
        if pixels:
            self.lacking[name] += pixels

    def why_none(self) -> str:
        """Return the reason why no pixel has a label, to end a message; empty if not known."""
        shapes = self._shapes()
        lost = sum(shapes.values(), Counter[Fate]())
        if lost:
            return f"{lost.total()} shape(s) read, {_lost(lost)}"
        if self.read:
            return f"none of {self.read.total():,} labelled pixels counts: {self.unused}"
        if self.undeclared:
            pixels = f"{self.undeclared.total():,} pixels of value 255"
            return f"it holds nothing but nodata and {pixels}, which mean no label"
        return ""

    def report(self, *, advice: str = "", left_out: str = "") -> None:
        """Log shapes and pixels of each class; a class without any pixel is a warning.

        Args:
            advice: what to do about shapes that cover no pixel centre.
            left_out: why label files were not read, for classes without any pixel.
        """
        shapes = self._shapes()
        self._report_sums(shapes)
        lines = 0
        for number in sorted({*shapes, *self.read}):
            fates = shapes.get(number, Counter())
            lost = Counter({fate: count for fate, count in fates.items() if fate < Fate.USED})
            if not self.used[number]:
                logger.warning("%s", self._nothing_of(number, fates, lost, advice))
            elif lost and lines < _MOST_LINES:
                lines += 1
                logger.info(
                    "class %s: %d of its %d shapes give no label: %s.",
                    self._name(number), lost.total(), fates.total(), _lost(lost),
                )  # fmt: skip
        absent = sorted(self.known - shapes.keys() - self.read.keys())
        if absent:
            listed = short(", ".join(map(self._called, absent)), 200)
            logger.warning("classes without any label: %s%s.",
                           listed, left_out and f" ({left_out})")  # fmt: skip

    def _report_sums(self, shapes: Mapping[int, Counter[Fate]]) -> None:
        sums = []
        for number, pixels in sorted(self.used.items()):
            count = shapes[number].total() if number in shapes else 0
            drawn = f" of {count} shape(s)" if count else ""
            sums.append(f"{self._called(number)} {pixels:,} px{drawn}")
        if sums:
            shown = sums if len(sums) <= 12 else [*sums[:10], f"{len(sums) - 10} more"]
            logger.info("labels used: %s.", short(", ".join(shown), 240))
        if self.undeclared:
            first, others = min(self.undeclared), len(self.undeclared) - 1
            logger.info(
                "%s%s: %s pixels of value 255 are taken as unlabelled.", first,
                f" (and {others} more)" if others else "", f"{self.undeclared.total():,}",
            )  # fmt: skip
        for name, pixels in self.lacking.items():
            logger.info("the class '%s' (%s px) is taken as no label, as its name says.",
                        short_value(name, 40), f"{pixels:,}")  # fmt: skip

    def _nothing_of(
        self, number: int, fates: Counter[Fate], lost: Counter[Fate], advice: str
    ) -> str:
        name = self._name(number)
        if fates:
            text = f"class {name}: none of its {fates.total()} shape(s) gives a label"
            if lost:
                text += f": {_lost(lost)}"
            else:
                text += f": {self.unused}"
            return f"{text}; {advice}." if lost[Fate.NO_CENTRE] and advice else f"{text}."
        pixels = f"{self.read[number]:,} labelled pixel(s)"
        return f"class {name}: none of its {pixels} counts: {self.unused}."

    def _name(self, number: int) -> str:
        return f"'{short_value(self.names[number], 40)}'" if number in self.names else str(number)

    def _called(self, number: int) -> str:
        return self._name(number) if number in self.names else f"class {number}"

    def _shapes(self) -> dict[int, Counter[Fate]]:
        """Return how many shapes of each class had each fate."""
        counted: dict[int, Counter[Fate]] = {}
        for classes, fates in self._fates.values():
            pairs, counts = np.unique(np.stack([classes, fates]), axis=1, return_counts=True)
            for (number, fate), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
                if fate > Fate.ABSENT:
                    counted.setdefault(number, Counter())[Fate(fate)] += count
        return counted


def _count(counter: Counter[int], values: IntArray) -> None:
    if values.size:
        counts = np.bincount(values)
        for number in np.flatnonzero(counts).tolist():
            counter[number] += int(counts[number])


def _lost(lost: Counter[Fate]) -> str:
    return ", ".join(f"{lost[fate]} {words}" for fate, words in _WORDS.items() if lost[fate])
