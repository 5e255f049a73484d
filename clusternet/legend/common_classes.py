"""One common numbering for the classes of all files of a command.

Classes are matched by name. Files that state names are renumbered, so that equal names get equal
numbers. Names are equal when `clusternet.legend.names.clean_name` makes them so. Only files that
state no names are matched by number.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from clusternet.errors import LabelError
from clusternet.legend.class_list import ClassList, is_no_class
from clusternet.legend.land_classes import MAX_CLASS
from clusternet.legend.names import warn_of_near_twins
from clusternet.messages import short, short_value
from clusternet.types import IntArray

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Statement:
    """The names and numbers that a file states for its classes."""

    path: Path
    """The file."""
    names: Mapping[int, str] = field(default_factory=dict)
    """The name of each class number, where the file states both."""
    loose_names: frozenset[str] = frozenset()
    """Names that it states without a number, as a text column of a vector file does."""
    numbers: frozenset[int] = frozenset()
    """Class numbers that are known to occur in it."""

    @property
    def is_nameless(self) -> bool:
        """True if its classes have numbers only; ``unknown`` and the like are no class names."""
        return all(map(is_no_class, (*self.names.values(), *self.loose_names)))


@dataclass(frozen=True)
class CommonClasses:
    """The common classes of several files, and how each file is renumbered to them."""

    classes: ClassList
    """The common classes: those that the user listed, or else the classes of all files."""
    numbers: Mapping[str, int]
    """The common number of each name, including ``unlabelled`` and the like."""
    listed: frozenset[int] | None
    """The numbers that labels may hold; None where the user listed no classes."""
    statements: Mapping[Path, Statement]
    """The statement of each file."""

    @property
    def nameless(self) -> list[Path]:
        """The files whose classes have numbers only."""
        return [path for path, file in self.statements.items() if file.is_nameless]

    def name(self, value: int) -> str:
        """Return the name of a common class number."""
        return self.classes.name(value)

    def renumbering(self, path: Path, *, is_map: bool = False) -> Renumbering:
        """Return how a file is renumbered; a class map may hold classes that are not listed."""
        file = self.statements.get(path, Statement(path))
        changes = {number: self.numbers[name] for number, name in file.names.items()}
        return Renumbering(
            path=path,
            changes=changes,
            texts={name: self.numbers[name] for name in file.loose_names},
            shares_numbers=all(old == new for old, new in changes.items()),
            listed=None if is_map else self.listed,
            classes=self.classes,
        )

    def basis(self) -> str:
        """Return a note for the summary where classes were matched by number; else empty."""
        if not self.nameless or self.listed is not None:
            return ""
        if len(self.nameless) == len(self.statements):
            return "classes matched by number: no file states names"
        return f"classes matched by number: {_listed_files(self.nameless)} names"


@dataclass(frozen=True)
class Renumbering:
    """From the class numbers of one file to the common ones."""

    path: Path
    changes: Mapping[int, int]
    """Common number of each number that the file names."""
    texts: Mapping[str, int]
    """Common number of each name that the file states without a number."""
    shares_numbers: bool
    """True if its numbers are the common ones, so numbers without a name can stay as they are."""
    listed: frozenset[int] | None
    """The common numbers that the file may hold; None for any."""
    classes: ClassList
    """The common classes."""

    def apply(self, values: IntArray) -> IntArray:
        """Return common numbers; (pixels,) both.

        Raises:
            LabelError: if a value has no common number, or is not listed.
        """
        if not values.size:
            return values
        present = np.flatnonzero(np.bincount(values))
        targets = np.array([self.common(int(value)) for value in present], np.int32)
        if (targets == present).all():
            return values
        # one lookup in a table renumbers all pixels
        table = np.zeros(int(present[-1]) + 1, np.int32)
        table[present] = targets
        renumbered: IntArray = table[values]
        return renumbered

    def common(self, key: int | str) -> int:
        """Return the common number of a number or name of the file; errors as of `apply`."""
        if isinstance(key, str):
            number = self.texts[key]
        elif key in self.changes:
            number = self.changes[key]
        elif self.shares_numbers:
            number = key
        else:
            raise LabelError(
                f"{self.path}: names some of its classes but not {key}, and other files number "
                "them in another way; name it there, or give the names of all with --classes."
            )
        if self.listed is not None and number not in self.listed:
            name = key if isinstance(key, str) else self.classes.names.get(number, "")
            what = f"class '{short_value(name, 40)}'" if name else f"label {number}"
            raise LabelError(
                f"{self.path}: holds the {what}, which is not in the class list "
                f"({short(str(self._allowed()), 90)}); add it there{self._twin(name)}."
            )
        return number

    def _allowed(self) -> ClassList:
        names = self.classes.names
        return ClassList({n: names[n] for n in sorted(self.listed or ()) if n in names})

    def _twin(self, name: str) -> str:
        """Return a hint at a listed name that differs only by upper and lower case."""
        for other in self._allowed().names.values():
            if other.casefold() == name.casefold():
                return f" (upper and lower case differ from '{short_value(other)}')"
        return ""


def match_classes(
    labels: Sequence[Statement],
    *,
    maps: Sequence[Statement] = (),
    given: ClassList | None = None,
    reserved: Iterable[int] = (),
) -> CommonClasses:
    """Find the common classes of files.

    Args:
        labels: the statements of label files.
        maps: the statements of class maps that are compared with them.
        given: the classes that the user listed: their numbers hold, and labels may hold no
            others. An empty list allows any.
        reserved: numbers that the user named and that no name without a number may get.

    Raises:
        LabelError: if a file without names cannot be matched: it is not known which of its
            numbers has which name.
    """
    given = given or ClassList()
    files = [*maps, *labels]  # the first file with a number keeps it: maps come before labels
    pool = _Pool(given)
    for file in files:
        for number, name in sorted(file.names.items()):
            pool.add(name, number)
    # Names without a number come last, behind all numbers that occur, so that they take none that
    # a file uses without a name.
    taken = set(reserved).union(*(file.numbers for file in files))
    pool.add_loose({name for file in files for name in file.loose_names}, taken)
    common = CommonClasses(
        classes=pool.classes(given),
        numbers=pool.numbers,
        listed=frozenset({*given.names, *pool.lacking()}) if given else None,
        statements={file.path: file for file in files},
    )
    if not given:
        _check_numbers_mean_something(files, pool.contested)
    if pool.numbers:
        source = files[0].path if len({file.path for file in files}) == 1 else "the files"
        warn_of_near_twins(pool.numbers, source)
    return common


class _Pool:
    """Gives each name a number; the first name with a number keeps it."""

    def __init__(self, given: ClassList) -> None:
        stated = {**given.names, **given.no_classes}
        self.numbers = {name: number for number, name in stated.items()}
        self.contested: dict[int, tuple[str, str]] = {}
        """Numbers that two files give to different names."""
        self._owners = stated

    def add(self, name: str, number: int) -> None:
        """Add a name with its number, or with the next free one if that is taken."""
        owner = self._owners.get(number)
        if owner not in (None, name):
            self.contested.setdefault(number, (str(owner), name))
        if name not in self.numbers:
            self._put(name, number if owner is None else self._next())

    def add_loose(self, names: Iterable[str], taken: Iterable[int]) -> None:
        """Give names without a number the numbers after all taken ones, in alphabetical order."""
        highest = max(taken, default=-1)
        for name in sorted(set(names) - self.numbers.keys()):
            self._put(name, max(self._next(), highest + 1))

    def lacking(self) -> list[int]:
        """Return the numbers whose name means no class."""
        return [number for name, number in self.numbers.items() if is_no_class(name)]

    def classes(self, given: ClassList) -> ClassList:
        """Return the common classes, with the colours of ``given``."""
        lacking = set(self.lacking())
        names = {n: name for n, name in sorted(self._owners.items()) if n not in lacking}
        no_classes = {n: self._owners[n] for n in sorted(lacking)}
        return ClassList(names, given.colours, no_classes)

    def _next(self) -> int:
        return max(self._owners, default=-1) + 1

    def _put(self, name: str, number: int) -> None:
        if number > MAX_CLASS:  # a free number below must do
            number = next(n for n in range(MAX_CLASS + 1) if n not in self._owners)
        self.numbers[name] = number
        self._owners[number] = name


def _check_numbers_mean_something(
    files: Sequence[Statement], contested: Mapping[int, tuple[str, str]]
) -> None:
    """Raise LabelError if a file has numbers only, and the others do not tell their names."""
    nameless = [file for file in files if file.is_nameless]
    if not nameless:
        return
    numbered = any(file.names and not file.is_nameless for file in files)
    loose = [file for file in files if file.loose_names and not file.numbers]
    if loose and not numbered:
        raise LabelError(
            f"{nameless[0].path}: holds class numbers, but {loose[0].path} holds names "
            f"({short(', '.join(sorted(loose[0].loose_names)), 60)}); say which number is which "
            "name with --classes."
        )
    for number, (first, second) in contested.items():
        if not nameless[0].numbers or number in nameless[0].numbers:
            raise LabelError(
                f"{nameless[0].path}: holds class numbers only, and other files call number "
                f"{number} '{short_value(first, 40)}' and '{short_value(second, 40)}'; say which "
                "it is with --classes."
            )


def _listed_files(paths: Sequence[Path]) -> str:
    if len(paths) == 1:
        return f"{paths[0].name} states no"
    return f"{paths[0].name} and {len(paths) - 1} other file(s) state no"
