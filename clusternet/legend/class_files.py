"""Class lists with names and colours that one scene hands to the next, in their order."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clusternet.colours import as_hex, from_hex
from clusternet.errors import LabelError
from clusternet.files.outputs import Kind, new_file
from clusternet.files.spreadsheet import as_cell
from clusternet.legend.land_classes import MAX_CLASS, LandClass, make_classes, read_class_names
from clusternet.legend.legend import read_class_table
from clusternet.messages import short_value
from clusternet.text_files import read_json

COLUMNS = ("class", "name", "colour")
CLASS_FILE_SUFFIXES = (".csv", ".json")
"""Endings of class lists."""


def _is_list(path: Path) -> bool:
    """Tell whether a file has the header of `write_class_file`, which spreadsheets change."""
    start = f"{','.join(COLUMNS)}\r\n".encode()
    with path.open("rb") as stream:
        return stream.read(len(start)) == start


CLASS_LIST = Kind("class list", _is_list)


def write_class_file(path: Path, classes: Sequence[LandClass], *, overwrite: bool = False) -> None:
    """Write classes in their order as CSV (UTF-8, comma): number, name and colour.

    Raises:
        OutputError: if the file exists and may not be replaced, or cannot be written.
    """
    with new_file(path, kind=CLASS_LIST, overwrite=overwrite) as unfinished:
        with unfinished.open("w", newline="", encoding="utf-8") as text:
            writer = csv.writer(text)
            writer.writerow(COLUMNS)
            writer.writerows([c.number, as_cell(c.name), as_hex(c.colour)] for c in classes)


def read_class_file(path: Path) -> tuple[LandClass, ...]:
    """Read classes in their order.

    Args:
        path: a CSV table with a column ``class`` (`write_class_file`, a table of classes, a
            legend), a JSON list of classes (`class_rows`), or JSON names such as
            ``{"1": "road"}``.

    Raises:
        LabelError: if the file is missing or of another form.
    """
    if path.suffix.lower() == ".csv":
        return read_class_table(path)
    if path.suffix.lower() != ".json":
        raise LabelError(f"{path}: class lists are read from .csv or .json.")
    if isinstance(read_json(path, LabelError), list):
        return read_class_rows(path)
    names = read_class_names(path)
    return tuple(make_classes(names, names).values())


def class_rows(classes: Sequence[LandClass]) -> str:
    """Return classes in their order as JSON: a list of number, name and colour."""
    rows = [{"number": c.number, "name": c.name, "colour": as_hex(c.colour)} for c in classes]
    return json.dumps(rows, indent=1) + "\n"


def read_class_rows(path: Path) -> tuple[LandClass, ...]:
    """Read the classes that `class_rows` wrote; check them, as people edit such files."""
    rows = read_json(path, LabelError)
    if not isinstance(rows, list):
        raise LabelError(f"{path.name}: expected a list of classes, found {short_value(rows)}")
    classes = tuple(_read_class(f"{path.name}, class {i}", row) for i, row in enumerate(rows, 1))
    for what in ("number", "name"):
        if len({getattr(each, what) for each in classes}) < len(classes):
            raise LabelError(f"{path.name}: two classes have the same {what}")
    return classes


def _read_class(where: str, row: Any) -> LandClass:
    values = row if isinstance(row, dict) else {}
    number, name, colour = (values.get(key) for key in ("number", "name", "colour"))
    if type(number) is not int or not 0 <= number <= MAX_CLASS:
        raise LabelError(
            f"{where}: expected a number from 0 to {MAX_CLASS}, found {short_value(number)}"
        )
    if not isinstance(name, str) or not name.strip():
        raise LabelError(f"{where}: expected a name, found {short_value(name)}")
    rgb = from_hex(colour) if isinstance(colour, str) else None
    if rgb is None:
        raise LabelError(f"{where}: expected a colour such as #3cb44b, found {short_value(colour)}")
    return LandClass(number, name, rgb)
