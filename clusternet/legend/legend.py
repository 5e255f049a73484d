"""The legend: a CSV table with the class of each cluster, which users may edit."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from clusternet.colours import RGB, as_hex, from_hex
from clusternet.errors import LabelError
from clusternet.files.outputs import Kind, new_file
from clusternet.files.spreadsheet import as_cell, from_cell
from clusternet.foreign_errors import reason
from clusternet.legend.land_classes import MAX_CLASS, LandClass, make_classes, read_class_names
from clusternet.legend.names import clean_name, warn_of_near_twins
from clusternet.messages import short_value
from clusternet.types import NO_CLASS, IntArray, UInt8Array

__all__ = [
    "COLUMNS", "LandClass", "Legend", "LegendRow", "make_classes",
    "read_class_names", "read_class_table", "read_legend", "write_legend",
]  # fmt: skip

COLUMNS = ("cluster", "class", "name", "colour", "votes", "purity", "run")
_REQUIRED = ("cluster", "class")
MAX_CLUSTER = 65534
"""The highest cluster number; 65535 marks nodata in maps."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class LegendRow:
    """The class of one cluster."""

    cluster: int
    """Pixel value in the cluster map."""
    land_class: LandClass
    """The class of the cluster."""
    votes: int = 0
    """Labelled pixels of the cluster; 0 if the class came from elsewhere."""
    purity: float | None = None
    """Share of those pixels that have this class; None without votes."""


@dataclass(frozen=True)
class Legend:
    """The table from clusters to classes."""

    rows: tuple[LegendRow, ...]
    """One row a cluster, in ascending order."""
    run: str | None = None
    """Identity of the run whose clusters these are; None if not known."""

    @property
    def classes(self) -> dict[int, LandClass]:
        """The classes by number, ascending."""
        by_number = {row.land_class.number: row.land_class for row in self.rows}
        return dict(sorted(by_number.items()))

    @property
    def highest_class(self) -> int:
        """The highest class number."""
        return max(self.classes)

    def lookup(self) -> IntArray:
        """Return the class of each cluster; (highest cluster + 1,), NO_CLASS where missing."""
        table = np.full(self.rows[-1].cluster + 1, NO_CLASS, np.int32)
        for row in self.rows:
            table[row.cluster] = row.land_class.number
        return table

    def names(self) -> list[str]:
        """Return the name of each class number from 0 on; empty where there is no class."""
        return [
            self.classes[number].name if number in self.classes else ""
            for number in range(self.highest_class + 1)
        ]

    def colours(self) -> UInt8Array:
        """Return the colour of each class number; (highest class + 1, 3)."""
        table = np.zeros((self.highest_class + 1, 3), np.uint8)
        for number, land_class in self.classes.items():
            table[number] = land_class.colour
        return table


def _is_legend(path: Path) -> bool:
    """Tell whether a file has the header of `write_legend`, which spreadsheets change."""
    start = f"{','.join(COLUMNS)}\r\n".encode()
    with path.open("rb") as stream:
        return stream.read(len(start)) == start


LEGEND_FILE = Kind("legend", _is_legend)


def write_legend(path: Path, legend: Legend, *, overwrite: bool = False) -> None:
    """Write a legend as CSV (UTF-8, comma)."""
    with new_file(path, kind=LEGEND_FILE, overwrite=overwrite) as hidden_path:
        with hidden_path.open("w", newline="", encoding="utf-8") as text:
            writer = csv.writer(text)
            writer.writerow(COLUMNS)
            for row in legend.rows:
                purity = "" if row.purity is None else f"{row.purity:.4f}"
                name = as_cell(row.land_class.name)
                writer.writerow(
                    [row.cluster, row.land_class.number, name, as_hex(row.land_class.colour),
                     row.votes, purity,
                     legend.run or ""]
                )  # fmt: skip


def read_legend(path: Path) -> Legend:
    """Read a legend, also one that was edited by hand or saved by a spreadsheet.

    Columns may stand in any order and be separated by commas, semicolons or tabs; only
    ``cluster`` and ``class`` are needed, others than those of `write_legend` are ignored.

    Raises:
        LabelError: naming the line, if the file is missing or cannot be understood.
    """
    table = _Table(path)
    for line, values in _records(path, _REQUIRED):
        table.add(line, values)
    return table.finish()


def read_class_table(path: Path) -> tuple[LandClass, ...]:
    """Read the classes of any CSV table with a column ``class``, in their order.

    Columns ``name`` and ``colour`` are read as in a legend; a legend is such a table, too.

    Raises:
        LabelError: naming the line, if the file is missing or cannot be understood.
    """
    table = _Table(path)
    for index, (line, values) in enumerate(_records(path, ("class",))):
        table.add(line, values | {"cluster": str(index), "votes": "", "purity": "", "run": ""})
    return tuple(dict.fromkeys(row.land_class for row in table.finish().rows))


def _records(path: Path, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of each line below the header, and its cells by column."""
    lines = _filled_lines(path)
    header = [name.strip().lower() for name in next(lines)[1]]
    for name in required:
        if name not in header:
            listed = short_value(", ".join(header))
            raise LabelError(f"{path}: has no column '{name}'; there are {listed}.")
    filled = [name for name in header if name]
    if len(set(filled)) < len(filled):
        raise LabelError(f"{path}: has two columns of the same name; rename or remove one.")
    for line, values in lines:
        yield line, dict(zip(header, values, strict=False))


def _filled_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and cells of each line that is not empty."""
    text = _read_text(path)
    # spreadsheets write semicolons where the comma is the decimal separator
    delimiter = max(",;\t", key=text.lstrip().splitlines()[0].count)
    records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for values in records:
            if any(value.strip() for value in values):
                yield records.line_num, values
    except csv.Error as error:
        raise LabelError(
            f"{path}, line {records.line_num + 1}: is not CSV ({reason(error)})."
        ) from error


def _read_text(path: Path) -> str:
    try:
        text = path.read_text(
            encoding="utf-8-sig"
        )  # Excel starts UTF-8 files with a byte order mark
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({reason(error)}).") from error
    except UnicodeDecodeError as error:
        raise LabelError(f"{path}: is not UTF-8 text; save the legend as CSV UTF-8.") from error
    if not text.strip():
        raise LabelError(f"{path}: is empty; expected a legend.")
    return text


class _Table:
    """Collects the lines of a legend file and checks them against each other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._clusters: dict[int, dict[str, str]] = {}
        self._lines: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._colours: dict[int, RGB] = {}
        self._run: str | None = None

    def add(self, line: int, values: Mapping[str, str]) -> None:
        values = {key: value.strip() for key, value in values.items()}
        cluster = self._number(line, values, "cluster", MAX_CLUSTER)
        number = self._number(line, values, "class", MAX_CLASS)
        if cluster in self._clusters:
            raise self._error(
                line, f"cluster {cluster} stands already in line {self._lines[cluster]}"
            )
        name = clean_name(from_cell(values.get("name", "")), self._path)
        if name:
            self._agree(line, number, "name", name, self._names)
        if values.get("colour"):
            self._agree(line, number, "colour", self._colour(line, values), self._colours)
        if values.get("run"):
            if self._run not in (None, values["run"]):
                raise self._error(
                    line,
                    f"run {short_value(values['run'])} differs from {short_value(self._run)} above",
                )
            self._run = values["run"]
        self._clusters[cluster], self._lines[cluster] = values, line

    def finish(self) -> Legend:
        if not self._clusters:
            raise LabelError(f"{self._path}: holds no line below its header.")
        if len(set(self._names.values())) < len(self._names):
            raise LabelError(f"{self._path}: two class numbers have the same name; rename one.")
        warn_of_near_twins(self._names.values(), self._path)
        numbers = {cluster: int(v["class"]) for cluster, v in self._clusters.items()}
        classes = make_classes(numbers.values(), self._names, self._colours)
        rows = [
            LegendRow(cluster, classes[numbers[cluster]], *self._evidence(cluster))
            for cluster in sorted(self._clusters)
        ]
        return Legend(tuple(rows), self._run)

    def _evidence(self, cluster: int) -> tuple[int, float | None]:
        values, line = self._clusters[cluster], self._lines[cluster]
        try:
            votes = int(float(values.get("votes") or 0))  # a spreadsheet may save 12 as 12.0
            text = values.get("purity")
            purity = float(text.replace(",", ".")) if text else None
        except (ValueError, OverflowError):
            raise self._error(line, "votes and purity must be numbers or empty") from None
        if purity is not None and not 0 <= purity <= 1:
            raise self._error(line, f"purity must be a share from 0 to 1, found {purity:g}")
        return votes, purity

    def _number(self, line: int, values: Mapping[str, str], column: str, highest: int) -> int:
        text = values.get(column, "")
        if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) > highest:
            raise self._error(
                line,
                f"{column} must be a whole number from 0 to {highest}, found '{short_value(text)}'",
            )
        return int(text)

    def _colour(self, line: int, values: Mapping[str, str]) -> RGB:
        text = values["colour"]
        if (colour := from_hex(text)) is None:
            raise self._error(line, f"colour must look like #1f77b4, found '{short_value(text)}'")
        return colour

    def _agree(self, line: int, number: int, column: str, value: _T, known: dict[int, _T]) -> None:
        if known.setdefault(number, value) != value:
            raise self._error(
                line,
                f"class {number} has the {column} {value} here and {known[number]} above; "
                "make them equal, or leave this one empty",
            )

    def _error(self, line: int, text: str) -> LabelError:
        return LabelError(f"{self._path}, line {line}: {text}.")
