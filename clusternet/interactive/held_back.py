"""Which strokes of a drawing are held back as a check."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from clusternet.labels.strokes import Drawing, Stroke

_LEARNED = 4
"""Strokes of a class that are learned before one of it is held back."""


def hold_back_every_fifth(drawing: Drawing) -> Drawing:
    """Hold back every fifth stroke of each class and scene, in the order of drawing."""
    return replace(drawing, strokes=_every_fifth(drawing), every_fifth=True)


def hold_back_none(drawing: Drawing) -> Drawing:
    """Learn all strokes."""
    learned = tuple(replace(stroke, is_check=False) for stroke in drawing.strokes)
    return replace(drawing, strokes=learned, every_fifth=False)


def with_stroke(drawing: Drawing, stroke: Stroke) -> Drawing:
    """Add a stroke, which is held back if it is the fifth one of its class and these are."""
    if drawing.every_fifth:
        same = [each for each in drawing.strokes if each.land_class == stroke.land_class]
        last = same[-_LEARNED:]
        is_fifth = len(last) == _LEARNED and not any(each.is_check for each in last)
        stroke = replace(stroke, is_check=stroke.is_check or is_fifth)
    return replace(drawing, strokes=(*drawing.strokes, stroke))


def recognised(drawing: Drawing) -> Drawing:
    """Return a drawing that was read from a file, which may not say why strokes are held back."""
    if drawing.every_fifth or not any(stroke.is_check for stroke in drawing.strokes):
        return drawing
    return replace(drawing, every_fifth=_every_fifth(drawing) == drawing.strokes)


def _every_fifth(drawing: Drawing) -> tuple[Stroke, ...]:
    count: dict[tuple[str, int], int] = defaultdict(int)
    marked = []
    for stroke in drawing.strokes:
        kind = stroke.scene, stroke.land_class
        count[kind] += 1
        is_fifth = count[kind] % (_LEARNED + 1) == 0
        same = stroke.is_check == is_fifth
        marked.append(stroke if same else replace(stroke, is_check=is_fifth))
    return tuple(marked)
