"""How the strokes of a file come into a drawing, and how many of them may."""

from __future__ import annotations

from pathlib import Path

import shapely

from clusternet.errors import LabelError
from clusternet.interactive.held_back import recognised
from clusternet.interactive.session import Session
from clusternet.labels.class_changes import add_drawing, replace_drawing
from clusternet.labels.strokes import Drawing

MOST_STROKES = 5000
"""Of a file that is loaded: a fit takes some 0.1 ms for each, and the browser draws all of them."""
MOST_CORNERS = 200_000
"""Of these strokes: all are sent to the browser after each change, which takes some 0.3 s then."""


def take_file(session: Session, scene: str, path: Path, drawing: Drawing, *, add: bool) -> None:
    """Take over the strokes of a file.

    Args:
        session: of the scene.
        scene: what its strokes are marked with, see `clusternet.interactive.member.Member.tag`.
        path: the file, for messages.
        drawing: its strokes and classes.
        add: add the strokes to those that are there; False replaces these.

    Raises:
        LabelError: if there would be more than the page can follow.
    """
    if add:
        wanted = add_drawing(session.drawing, drawing)
    else:
        wanted = recognised(replace_drawing(session.whole, scene, drawing))
    if len(wanted.strokes) > MOST_STROKES:
        raise LabelError(
            f"{path}: with its {len(drawing.strokes):,} strokes there would be "
            f"{len(wanted.strokes):,}; the page follows {MOST_STROKES:,} at most. Load a "
            "part of them, or replace those that are there."
        )
    corners = int(shapely.get_num_coordinates([s.geometry for s in wanted.strokes]).sum())
    if corners > MOST_CORNERS:
        raise LabelError(
            f"{path}: with its strokes there would be {corners:,} corners; the page follows "
            f"{MOST_CORNERS:,} at most. Simplify them, or make the map in batch, which takes all."
        )
    session.replace(wanted)
