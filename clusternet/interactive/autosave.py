"""Save the strokes and classes of a scene in its folder, and load them at the next start."""

from __future__ import annotations

import json
import logging
from itertools import count
from pathlib import Path
from typing import Any

from clusternet.colours import as_hex, from_hex
from clusternet.errors import ClusterNetError, LabelError
from clusternet.files.outputs import new_file, readable_os_errors
from clusternet.interactive.held_back import recognised
from clusternet.labels.stroke_files import DrawingGrid, read_strokes, write_strokes
from clusternet.labels.strokes import Drawing
from clusternet.legend.land_classes import MAX_CLASS, LandClass
from clusternet.messages import short_value
from clusternet.text_files import read_json

logger = logging.getLogger(__name__)

STROKES, CLASSES = "strokes.gpkg", "classes.json"


def save_drawing(folder: Path, drawing: Drawing, grid: DrawingGrid) -> None:
    """Write the strokes and the classes of a drawing; each file appears whole or not at all."""
    with new_file(folder / CLASSES, overwrite=True) as hidden_path:
        rows = [
            {"number": c.number, "name": c.name, "colour": as_hex(c.colour)}
            for c in drawing.classes
        ]
        hidden_path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if drawing.strokes:
        write_strokes(folder / STROKES, drawing, grid, kind=None, overwrite=True)
    else:
        with readable_os_errors(folder / STROKES):
            (folder / STROKES).unlink(missing_ok=True)


def load_drawing(folder: Path, grid: DrawingGrid) -> Drawing | None:
    """Read the saved drawing; None if there is none, or it cannot be read.

    Files that cannot be read are renamed, so that the next save does not replace them.
    """
    if (folder / CLASSES).exists():
        try:
            classes = _read_classes(folder / CLASSES)
        except ClusterNetError as error:
            _set_aside(folder, str(error))
            return None
    elif (folder / STROKES).exists():
        classes = ()
    else:
        return None
    if not (folder / STROKES).exists():
        return Drawing(classes)
    try:
        names = {c.number: c for c in classes}
        drawing = read_strokes(folder / STROKES, grid, names=names)
    except ClusterNetError as error:
        _set_aside(folder, str(error))
        return None
    extra = tuple(c for c in drawing.classes if c.number not in names)
    return recognised(Drawing((*classes, *extra), drawing.strokes))


def _read_classes(path: Path) -> tuple[LandClass, ...]:
    """Read the classes that `save_drawing` wrote; check them, as people edit such files."""
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


def _set_aside(folder: Path, reason: str) -> None:
    kept = []
    for path in (folder / STROKES, folder / CLASSES):
        if path.exists():
            free = (path.with_name(f"unreadable_{n}_{path.name}") for n in count(1))
            spare = next(name for name in free if not name.exists())
            path.replace(spare)
            kept.append(spare.name)
    logger.warning(
        "%s: the saved strokes cannot be read (%s); they are set aside as %s.",
        folder, reason.rstrip("."), " and ".join(kept),
    )  # fmt: skip
