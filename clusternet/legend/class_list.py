"""Names and colours of classes that a user lists in a JSON file or a legend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from clusternet.colours import RGB
from clusternet.legend.legend import read_class_names, read_class_table
from clusternet.legend.names import clean_name

_NO_CLASS_NAMES = {"unlabelled", "unlabeled", "unknown", "ignore", "ignored", "nodata", "void"}


@dataclass(frozen=True)
class ClassList:
    """Classes by number; empty where the user names none."""

    names: Mapping[int, str] = field(default_factory=dict)
    """Name of each class value."""
    colours: Mapping[int, RGB] = field(default_factory=dict)
    """RGB colour of some class values."""
    no_classes: Mapping[int, str] = field(default_factory=dict)
    """Values that are named ``unlabelled``, ``unknown`` or the like, which is no class."""
    source: Path | None = field(default=None, compare=False)
    """The file that they were read from."""

    def __bool__(self) -> bool:
        """Tell whether any class is named."""
        return bool(self.names)

    @property
    def num_classes(self) -> int:
        """One more than the largest class value; 0 for an empty list."""
        return max(self.names, default=-1) + 1

    def name(self, value: int) -> str:
        """Return the name of a class value."""
        return self.names.get(value, f"class {value}")

    def __str__(self) -> str:
        """Describe the list in a message."""
        return ", ".join(f"{value} {name}" for value, name in sorted(self.names.items()))


def read_class_list(path: Path) -> ClassList:
    """Read class names from ``classes.json``, or names and colours from a CSV table.

    A table has the columns ``class``, ``name`` and ``colour``, as legends and class lists have.

    Raises:
        LabelError: if the file is missing or of another form.
    """
    if path.suffix.lower() != ".csv":
        return replace(make_class_list(read_class_names(path)), source=path)
    classes = {land_class.number: land_class for land_class in read_class_table(path)}
    class_list = make_class_list(
        {number: land_class.name for number, land_class in classes.items()},
        {number: land_class.colour for number, land_class in classes.items()},
    )
    return replace(class_list, source=path)


def make_class_list(
    names: Mapping[int, str], colours: Mapping[int, RGB] | None = None
) -> ClassList:
    """Return a class list; values whose name means no class go to ``no_classes``."""
    clean = {value: clean_name(name) for value, name in sorted(names.items())}
    lacking = {value: name for value, name in clean.items() if is_no_class(name)}
    classes = {value: name for value, name in clean.items() if value not in lacking}
    return ClassList(classes, colours or {}, lacking)


def is_no_class(name: str) -> bool:
    """Tell whether a name means that there is no class: ``unlabelled``, ``unknown``, ..."""
    return name.strip().lower() in _NO_CLASS_NAMES
