"""Read the class of each shape of a vector file from its fields: a number or a name."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clusternet.errors import LabelError
from clusternet.legend.common_classes import Statement
from clusternet.legend.land_classes import MAX_CLASS
from clusternet.legend.names import clean_name, is_made_up
from clusternet.messages import short, short_value

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

CLASS_FIELD = "class"
"""The field that holds the class if the user names none."""
_OUR_FIELDS = {"class", "name", "colour", "width", "area_ha"}
_WHOLE = re.compile(r"([+-]?[0-9]{1,18})(\.0*)?")
_FRACTION = re.compile(r"[+-]?[0-9]*\.[0-9]+")
_TRUTH = {"True": 1, "False": 0}

Key = int | str
"""A class as a file states it: its number or its name."""


@dataclass(frozen=True)
class ClassColumn:
    """The class of each shape of a file."""

    keys: Sequence[Key | None]
    """Number or name of each shape's class, None where it has no class."""
    names: Mapping[int, str]
    """The name of each number, if a second field states names."""
    is_text: bool
    """True if the field is text, so that numbers are stored as text."""

    def statement(self, path: Path) -> Statement:
        """Return the names and numbers that the file states for its classes."""
        present = set(self.keys)
        return Statement(
            path,
            names=self.names,
            loose_names=frozenset(key for key in present if isinstance(key, str)),
            numbers=frozenset(key for key in present if isinstance(key, int)),
        )


def read_classes(
    path: Path, frame: pd.DataFrame, class_field: str | None, *, quiet: bool = False
) -> ClassColumn:
    """Return the class of each row of a table.

    Args:
        path: the file, for messages.
        frame: its fields.
        class_field: the field that holds the class; None takes ``class``. In a file without
            fields all shapes have class 1.
        quiet: do not warn of names with control characters.

    Raises:
        LabelError: if there is no such field, or it holds fractions or numbers out of range.
    """
    import pandas as pd

    name = _class_field(path, frame, class_field)
    if name is None:
        return ClassColumn([1] * len(frame), {}, False)
    values = frame[name]
    try:
        distinct_values = values.dropna().unique()
    except TypeError:  # GeoJSON may hold lists and objects, which cannot be hashed
        raise LabelError(
            f"{path}: field '{name}' holds lists; expected class numbers or names."
        ) from None
    all_keys = {value: _key(path, value, quiet) for value in distinct_values}
    _check(path, name, list(all_keys.values()))
    distinct = {value: key for value, key in all_keys.items() if not isinstance(key, float)}
    keys = [None if pd.isna(value) else distinct[value] for value in values]
    is_text = any(isinstance(value, str) for value in distinct)
    names = _second_names(path, frame, name, keys)
    return ClassColumn(keys, names, is_text)


def report_form(path: Path, column: ClassColumn, class_field: str | None) -> None:
    """Report a field that holds numbers as text, or both numbers and names."""
    statement = column.statement(path)
    shown = class_field or CLASS_FIELD
    loose = statement.loose_names
    if statement.numbers and loose:
        logger.warning(
            "%s: field '%s' holds numbers and names (such as '%s'); numbers stay class numbers, "
            "names get numbers behind them.", path, shown, short_value(min(loose), 40),
        )  # fmt: skip
    elif statement.numbers and column.is_text:
        logger.info("%s: field '%s' holds numbers as text; they are taken as class numbers.",
                    path, shown)  # fmt: skip


def find_field(path: Path, frame: pd.DataFrame, name: str, flag: str) -> str:
    """Return ``name`` if the table has such a field; raise LabelError if not."""
    fields = [str(column) for column in frame.columns]
    if name not in fields:
        listed = short(", ".join(fields) or "none", 120)
        raise LabelError(f"{path}: has no field '{name}' (--{flag}); fields there: {listed}.")
    return name


def _class_field(path: Path, frame: pd.DataFrame, name: str | None) -> str | None:
    if name is not None:
        return find_field(path, frame, name, "class_field")
    fields = [str(column) for column in frame.columns]
    for field in fields:
        if field.lower() == CLASS_FIELD:
            return field
    if fields:
        raise LabelError(
            f"{path}: has no field '{CLASS_FIELD}'; name the one that holds the class with "
            f"--class_field. Fields there: {short(', '.join(fields), 120)}."
        )
    return None


def _key(path: Path, value: Any, quiet: bool) -> Key | float | None:
    """Return a value as a number or a name; a float if it is a fraction; None if it is empty."""
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):  # integer fields with empty rows are read as float
        return int(value) if float(value).is_integer() else float(value)
    name = clean_name(str(value), path, quiet=quiet)
    if name in _TRUTH:
        return _TRUTH[name]
    if whole := _WHOLE.fullmatch(name):
        return int(whole[1])
    return name or None


def _check(path: Path, field: str, keys: Sequence[Key | float | None]) -> None:
    """Raise LabelError if keys are fractions, or numbers out of the range of classes."""
    fractions = [key for key in keys if isinstance(key, float)]
    names = [key for key in keys if isinstance(key, str)]
    if names and all(_FRACTION.fullmatch(name) for name in names):
        fractions += [float(name) for name in names]
    if fractions:
        raise LabelError(
            f"{path}: field '{field}' holds fractions such as {fractions[0]:g}; expected whole "
            "class numbers or names."
        )
    for number in (key for key in keys if isinstance(key, int)):
        check_number(path, number)


def check_number(path: Path, number: int) -> int:
    """Return a class number; raise LabelError if it is out of range."""
    if not 0 <= number <= MAX_CLASS:
        raise LabelError(
            f"{path}: class number {number} cannot be used; expected 0 to {MAX_CLASS}."
        )
    return number


def _second_names(
    path: Path, frame: pd.DataFrame, class_field: str, keys: Sequence[Key | None]
) -> dict[int, str]:
    """Return the name of each number from a field ``name``, in files that we wrote.

    In files of others that field may hold the name of each object, not of its class.
    """
    columns = {str(column).lower(): column for column in frame.columns}
    if class_field.lower() != CLASS_FIELD or not {"name"} <= columns.keys() <= _OUR_FIELDS:
        return {}
    pairs = {
        (key, clean_name(name, path, quiet=True))
        for key, name in zip(keys, frame[columns["name"]], strict=True)
        if isinstance(key, int) and isinstance(name, str)
    }
    names = {number: name for number, name in pairs if name and not is_made_up(number, name)}
    is_one_to_one = len(dict(pairs)) == len(pairs) and len(set(names.values())) == len(names)
    return names if is_one_to_one else {}
