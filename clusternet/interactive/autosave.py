"""Save the strokes and classes of a scene in its folder, and load them at the next start."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import shapely

from clusternet.errors import ClusterNetError
from clusternet.files.outputs import new_file, readable_os_errors
from clusternet.files.placing import sync_file
from clusternet.interactive.held_back import recognised
from clusternet.labels.class_changes import add_drawing
from clusternet.labels.stroke_files import DrawingGrid, read_strokes, write_strokes
from clusternet.labels.strokes import Drawing
from clusternet.legend.class_files import class_rows, read_class_rows
from clusternet.legend.land_classes import LandClass

logger = logging.getLogger(__name__)

STROKES, CLASSES = "strokes.gpkg", "classes.json"


def save_drawing(folder: Path, drawing: Drawing, grid: DrawingGrid) -> None:
    """Write the strokes and the classes of a drawing; a failure leaves both files as they were.

    Pieces that an eraser left beside the scene are not saved: they could not be read back.
    """
    rows, cols = grid.shape
    scene = shapely.box(0, 0, cols, rows)
    strokes = tuple(stroke for stroke in drawing.strokes if stroke.touches(scene))
    with new_file(folder / CLASSES, overwrite=True) as hidden_path:
        hidden_path.write_text(class_rows(drawing.classes), encoding="utf-8")
        sync_file(hidden_path)  # a full disk is noticed before the strokes are replaced
        if strokes:
            kept = replace(drawing, strokes=strokes)
            write_strokes(folder / STROKES, kept, grid, kind=None, overwrite=True)
        else:
            with readable_os_errors(folder / STROKES):
                (folder / STROKES).unlink(missing_ok=True)


def load_drawing(folder: Path, grid: DrawingGrid) -> Drawing | None:
    """Read the saved drawing; None if there is none, or it cannot be read.

    Files that cannot be read are renamed, so that the next save does not replace them. Classes
    stay if only the strokes cannot be read.
    """
    strokes_path, classes_path = folder / STROKES, folder / CLASSES
    classes: tuple[LandClass, ...] = ()
    if classes_path.exists():
        try:
            classes = read_class_rows(classes_path)
        except ClusterNetError as error:
            _set_aside(folder, (strokes_path, classes_path), str(error))
            return None
    elif not strokes_path.exists():
        return None
    saved = Drawing(classes)
    if not strokes_path.exists():
        return saved
    try:
        drawing = read_strokes(strokes_path, grid, names={c.number: c for c in classes})
    except ClusterNetError as error:
        _set_aside(folder, (strokes_path,), str(error))
        return saved if classes else None
    # people add strokes in a GIS, also of classes that are not listed
    return recognised(add_drawing(replace(saved, every_fifth=drawing.every_fifth), drawing))


def _set_aside(folder: Path, paths: Sequence[Path], reason: str) -> None:
    kept = []
    for path in paths:
        if path.exists():
            free = (path.with_name(f"unreadable_{n}_{path.name}") for n in count(1))
            spare = next(name for name in free if not name.exists())
            path.replace(spare)
            kept.append(spare.name)
    logger.warning(
        "%s: the saved strokes cannot be read (%s); they are set aside as %s.",
        folder, reason.rstrip("."), " and ".join(kept),
    )  # fmt: skip
