"""The drawing of a scene as it is kept between sittings."""

from __future__ import annotations

import json
import logging
from itertools import count
from pathlib import Path

from clusternet.errors import ClusterNetError
from clusternet.files import new_file, readable_os_errors
from clusternet.interactive.stroke_files import (
    Place,
    as_hex,
    from_hex,
    read_strokes,
    write_strokes,
)
from clusternet.interactive.strokes import Drawing
from clusternet.land_classes import LandClass

logger = logging.getLogger(__name__)

STROKES, CLASSES = "strokes.gpkg", "classes.json"


def save_drawing(folder: Path, drawing: Drawing, place: Place) -> None:
    """Write strokes and classes, each whole or not at all."""
    with new_file(folder / CLASSES, overwrite=True) as part:
        rows = [
            {"number": c.number, "name": c.name, "colour": as_hex(c.colour)}
            for c in drawing.classes
        ]
        part.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if drawing.strokes:
        write_strokes(folder / STROKES, drawing, place, kind=None, overwrite=True)
    else:
        with readable_os_errors(folder / STROKES):
            (folder / STROKES).unlink(missing_ok=True)


def load_drawing(folder: Path, place: Place) -> Drawing | None:
    """Read what was kept; None if there is nothing, or nothing that can be read.

    What cannot be read is set aside under another name, never written over.
    """
    try:
        rows = json.loads((folder / CLASSES).read_text(encoding="utf-8"))
        classes = tuple(
            LandClass(int(row["number"]), str(row["name"]), from_hex(row["colour"]) or (0, 0, 0))
            for row in rows
        )
    except FileNotFoundError:
        if not (folder / STROKES).exists():
            return None
        classes = ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        _set_aside(folder, str(error))
        return None
    if not (folder / STROKES).exists():
        return Drawing(classes)
    try:
        names = {c.number: c for c in classes}
        found = read_strokes(folder / STROKES, place, names=names)
    except ClusterNetError as error:
        _set_aside(folder, str(error))
        return None
    extra = tuple(c for c in found.classes if c.number not in names)
    return Drawing((*classes, *extra), found.strokes)


def _set_aside(folder: Path, reason: str) -> None:
    for name in (STROKES, CLASSES):
        path = folder / name
        if path.exists():
            kept = (path.with_name(f"unreadable_{n}_{name}") for n in count(1))
            path.replace(next(free for free in kept if not free.exists()))
    logger.warning("%s: the saved strokes cannot be read (%s) and were set aside.", folder, reason)
