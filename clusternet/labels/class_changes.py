"""Changes of the classes of a drawing: another order, merged classes, classes of other drawings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count

from clusternet.errors import LabelError
from clusternet.labels.strokes import Drawing, Stroke
from clusternet.legend.familiar import class_colours
from clusternet.legend.land_classes import MAX_CLASS, LandClass
from clusternet.legend.names import is_made_up


def move_class(drawing: Drawing, number: int, place: int) -> Drawing:
    """Put a class at another place in the order, from 0; numbers and maps stay as they are."""
    moved = drawing.find(number)
    others = [c for c in drawing.classes if c.number != number]
    others.insert(min(max(place, 0), len(others)), moved)
    return replace(drawing, classes=tuple(others))


def merge_class(drawing: Drawing, number: int, into: int) -> Drawing:
    """Give the strokes of a class to another one, and remove it.

    Raises:
        LabelError: if they are one class, or one of them does not exist.
    """
    drawing.find(number)
    if number == into:
        raise LabelError(f"'{drawing.find(into).name}': choose another class to merge it with.")
    drawing.find(into)
    classes = tuple(c for c in drawing.classes if c.number != number)
    return replace(drawing, classes=classes, strokes=_renumbered(drawing, {number: into}))


def add_drawing(drawing: Drawing, other: Drawing) -> Drawing:
    """Add the strokes of another drawing, such as those of a file.

    A class of it is the one of the same name here. A class without a name of its own, such as
    ``class 3``, is the one of the same number. Other classes are added; they keep their number
    if it is free.
    """
    numbers: dict[int, int] = {}
    classes = list(drawing.classes)
    for new in other.classes:
        # two classes of a file that others wrote may have one name, too
        same = _same_class(new, drawing.classes) or _called(new.name, classes)
        if same is None:
            same = _with_free_number(new, classes)
            classes.append(same)
        numbers[new.number] = same.number
    added = _renumbered(other, numbers)
    return replace(drawing, classes=tuple(classes), strokes=(*drawing.strokes, *added))


def replace_drawing(whole: Drawing, scene: str, other: Drawing) -> Drawing:
    """Return another drawing, such as that of a file, as it replaces the strokes of one scene.

    Classes with strokes on other scenes stay: the file may give their numbers to other classes.
    """
    elsewhere = {stroke.land_class for stroke in whole.strokes if stroke.scene != scene}
    kept = tuple(c for c in whole.classes if c.number in elsewhere)
    if not kept and len({c.name for c in other.classes}) == len(other.classes):
        return other
    return add_drawing(Drawing(kept, every_fifth=other.every_fifth), other)


def use_classes(drawing: Drawing, listed: Sequence[LandClass]) -> Drawing:
    """Take over a list of classes with their order, numbers, names and colours.

    A class of the drawing is the listed one of the same name, or, without a name of its own, the
    one of the same number. Other classes of the drawing follow behind the list if they have
    strokes or a name; they get free numbers where the list needs theirs.
    """
    drawn = {stroke.land_class for stroke in drawing.strokes}
    numbers: dict[int, int] = {}
    classes = list(listed)
    for old in drawing.classes:
        same = _same_class(old, listed)
        if same is None:
            if old.number not in drawn and is_made_up(old.number, old.name):
                continue
            same = _with_free_number(old, classes)
            classes.append(same)
        numbers[old.number] = same.number
    return replace(drawing, classes=tuple(classes), strokes=_renumbered(drawing, numbers))


def _same_class(wanted: LandClass, classes: Sequence[LandClass]) -> LandClass | None:
    same = _called(wanted.name, classes)
    if same is not None or not is_made_up(wanted.number, wanted.name):
        return same
    return next((c for c in classes if c.number == wanted.number), None)


def _called(name: str, classes: Sequence[LandClass]) -> LandClass | None:
    return next((c for c in classes if c.name == name), None)


def _with_free_number(wanted: LandClass, classes: Sequence[LandClass]) -> LandClass:
    """Return a class with a number and a colour that no other one has, and a name likewise."""
    taken, called = {c.number for c in classes}, {c.name for c in classes}
    made_up = is_made_up(wanted.number, wanted.name)
    behind = range(max(taken, default=0) + 1, MAX_CLASS + 1)
    number = next(
        free for free in chain((wanted.number,), behind, count(1))
        if free not in taken and not (made_up and f"class {free}" in called)
    )  # fmt: skip
    name = f"class {number}" if made_up else wanted.name
    colours = {c.number: c.colour for c in classes}
    if wanted.colour not in colours.values():
        return LandClass(number, name, wanted.colour)
    names = {c.number: c.name for c in classes} | {number: name}
    return LandClass(number, name, class_colours(names, colours)[number])


def _renumbered(drawing: Drawing, numbers: dict[int, int]) -> tuple[Stroke, ...]:
    """Return the strokes with the classes of a table from old to new numbers."""
    return tuple(
        stroke if numbers.get(stroke.land_class, stroke.land_class) == stroke.land_class
        else replace(stroke, land_class=numbers[stroke.land_class])
        for stroke in drawing.strokes
    )  # fmt: skip
