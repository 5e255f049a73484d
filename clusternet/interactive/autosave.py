"""Save the strokes and classes of a scene in its folder, and load them at the next start."""

from __future__ import annotations

import logging
from itertools import count
from pathlib import Path

from clusternet.errors import ClusterNetError
from clusternet.files.outputs import new_file, readable_os_errors
from clusternet.interactive.held_back import recognised
from clusternet.labels.stroke_files import DrawingGrid, read_strokes, write_strokes
from clusternet.labels.strokes import Drawing
from clusternet.legend.class_files import class_rows, read_class_rows

logger = logging.getLogger(__name__)

STROKES, CLASSES = "strokes.gpkg", "classes.json"


def save_drawing(folder: Path, drawing: Drawing, grid: DrawingGrid) -> None:
    """Write the strokes and the classes of a drawing; each file appears whole or not at all."""
    with new_file(folder / CLASSES, overwrite=True) as hidden_path:
        hidden_path.write_text(class_rows(drawing.classes), encoding="utf-8")
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
            classes = read_class_rows(folder / CLASSES)
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
