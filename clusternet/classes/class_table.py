"""The table of the classes of a map: strokes, pixels and area of each, as CSV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from clusternet.colours import as_hex
from clusternet.files.outputs import Kind, new_file
from clusternet.files.spreadsheet import as_cell
from clusternet.labels.strokes import Drawing

COLUMNS = ("class", "name", "colour", "strokes", "held_back", "pixels", "share", "area_ha")


def _is_table(path: Path) -> bool:
    """Tell whether a file has the header of `write_class_table`, which spreadsheets change."""
    start = f"{','.join(COLUMNS)}\r\n".encode()
    with path.open("rb") as stream:
        return stream.read(len(start)) == start


CLASS_TABLE = Kind("class table", _is_table)


def write_class_table(
    path: Path,
    drawing: Drawing,
    counts: Mapping[int, int],
    pixel_ha: float | None,
    *,
    overwrite: bool = False,
) -> None:
    """Write a line for each class of a drawing, in its order, as CSV (UTF-8, comma).

    The columns ``class``, ``name`` and ``colour`` are those of a class list, so the table can be
    loaded as one.

    Args:
        path: the file.
        drawing: classes and strokes; ``held_back`` counts those that are a check.
        counts: pixels of the map of each class.
        pixel_ha: hectares of a pixel, None where the CRS is not projected; areas are empty then.
        overwrite: replace a class table.

    Raises:
        OutputError: if the file exists and may not be replaced, or cannot be written.
    """
    learned = Counter(stroke.land_class for stroke in drawing.strokes if not stroke.is_check)
    checks = Counter(stroke.land_class for stroke in drawing.strokes if stroke.is_check)
    total = max(sum(counts.values()), 1)
    with new_file(path, kind=CLASS_TABLE, overwrite=overwrite) as unfinished:
        with unfinished.open("w", newline="", encoding="utf-8") as text:
            writer = csv.writer(text)
            writer.writerow(COLUMNS)
            for land_class in drawing.classes:
                number = land_class.number
                pixels = counts.get(number, 0)
                writer.writerow(
                    [number, as_cell(land_class.name), as_hex(land_class.colour), learned[number],
                     checks[number], pixels, f"{pixels / total:.4f}",
                     "" if pixel_ha is None else f"{pixels * pixel_ha:.4f}"]
                )  # fmt: skip
