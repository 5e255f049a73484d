"""The classes of an evaluation: their names, and which ones the maps and the labels share."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from clusternet.errors import LabelError
from clusternet.evaluation.contingency import FileContingency
from clusternet.evaluation.results import Kind
from clusternet.labels.pairing import Pair
from clusternet.labels.rules import LabelRules
from clusternet.legend import familiar
from clusternet.legend.common_classes import CommonClasses
from clusternet.messages import short
from clusternet.metrics import Counts
from clusternet.raster.categories import read_categories
from clusternet.raster.endings import is_vector
from clusternet.types import NO_CLASS, IntArray, UInt8Array

logger = logging.getLogger(__name__)


def class_names(
    file_tables: Sequence[FileContingency], kind: Kind, rules: LabelRules
) -> tuple[str, ...]:
    """Return the names of all class numbers from 0 on: the user's, or else those of the files."""
    given = rules.options.classes
    if given:
        return tuple(map(given.name, range(given.num_classes)))
    num_classes = num_labels = max(each.table.shape[1] for each in file_tables)
    if kind == "classes":
        num_classes = max(num_labels, *(each.table.shape[0] for each in file_tables))
        if not any(rules.common.statements[each.map_path].names for each in file_tables):
            _warn_of_clusters(num_classes, num_labels)
    shown = [_name(rules.common, value) for value in range(num_classes)]
    return tuple(
        name if shown.count(name) == 1 else f"{name} ({value})" for value, name in enumerate(shown)
    )


def class_colours(
    names: Sequence[str], table: Counts, pairs: Iterable[Pair], rules: LabelRules, kind: Kind
) -> UInt8Array:
    """Return the colours of classes: the user's, else those of the maps or labels, else defaults.

    Args:
        names: the name of each class.
        table: (map values, classes) counts of pixels.
        pairs: maps and their labels.
        rules: of the labels, with the common classes.
        kind: whether the maps hold classes, which may have colours.

    Returns:
        (classes, 3) RGB.
    """
    stated = dict(rules.common.classes.colours)
    occurring = np.flatnonzero(table.any(axis=0)).tolist()
    if kind == "classes":
        occurring += np.flatnonzero(table.any(axis=1)).tolist()
    for map_path, label_path in pairs:
        of_pair = [(map_path, True)] if kind == "classes" else []
        for path, is_map in [*of_pair, (label_path, False)]:
            if not is_vector(path):
                onto = rules.common.renumbering(path, is_map=is_map)
                numbers = {number: number for number in occurring} if onto.shares_numbers else {}
                numbers |= onto.changes
                for number, colour in read_categories(path)[1].items():
                    if number in numbers:
                        stated.setdefault(numbers[number], colour)
    chosen = familiar.class_colours(dict(enumerate(names)), stated)
    return np.array(list(chosen.values()), np.uint8).reshape(-1, 3)


def _name(common: CommonClasses, value: int) -> str:
    return common.classes.no_classes.get(value) or common.name(value)


def _warn_of_clusters(num_classes: int, num_labels: int) -> None:
    if num_classes > 2 * num_labels + 2:
        logger.warning(
            "the maps hold values up to %d but the labels only up to %d; "
            "add --clusters if they are cluster maps", num_classes - 1, num_labels - 1,
        )  # fmt: skip


def identity(table: Counts, rules: LabelRules) -> IntArray:
    """Return the mapping of class maps: each known class to itself, other values to no class.

    Args:
        table: (map values, classes) counts.
        rules: of the labels, with the common classes.

    Returns:
        (map values,) class of each value, or ``NO_CLASS``, which counts as wrong.
    """
    given, lacking = rules.options.classes, rules.common.classes.no_classes.keys()
    mapping = np.full(len(table), NO_CLASS, np.int32)
    known = set(given.names or range(len(table))) - lacking
    for value in known & set(range(len(table))):
        mapping[value] = value
    unknown = set(np.flatnonzero(table.any(axis=1)).tolist()) - known - lacking
    if unknown:
        logger.warning(
            "the maps hold %d class(es) that the class list does not name, such as %s; they count "
            "as wrong; add --clusters if they are cluster maps",
            len(unknown), rules.common.name(min(unknown)),
        )  # fmt: skip
    return mapping


def warn_of_unshared_classes(table: Counts, maps: Iterable[Path], rules: LabelRules) -> None:
    """Warn of classes that only the maps or only the labels have.

    Args:
        table: (map values, classes) counts.
        maps: the class maps.
        rules: of the labels, with the common classes.

    Raises:
        LabelError: if maps and labels name their classes and share none.
    """
    common = rules.common
    in_maps = set(np.flatnonzero(table.any(axis=1)).tolist())
    for path in set(maps):
        in_maps |= set(common.renumbering(path, is_map=True).changes.values())
    used = set(np.flatnonzero(table.any(axis=0)).tolist())
    in_labels = used | rules.inventory.known
    lacking = common.classes.no_classes.keys()
    if not common.nameless and not (used & in_maps):
        raise LabelError(
            f"No class of the maps ({_listed(common, in_maps - lacking)}) has the name of a class "
            f"of the labels ({_listed(common, used)}); make the names equal, for example in the "
            "legend.csv that the maps are made with."
        )
    for unshared, side, other in (
        (used - in_maps, "labels", "maps"),
        (in_maps - in_labels - lacking, "maps", "labels"),
    ):
        if unshared:
            logger.warning(
                "classes that only the %s have, not the %s: %s; their pixels count as wrong.",
                side, other, _listed(common, unshared),
            )  # fmt: skip


def _listed(common: CommonClasses, numbers: Iterable[int]) -> str:
    return short(", ".join(common.name(number) for number in sorted(numbers)), 90)
