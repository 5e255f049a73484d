"""Strokes and classes with undo and redo, in memory. Knows neither files nor features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from clusternet.colours import RGB, palette
from clusternet.errors import LabelError
from clusternet.interactive import held_back
from clusternet.interactive.history import History
from clusternet.labels.strokes import Drawing, Stroke, erase
from clusternet.legend.familiar import class_colours
from clusternet.legend.familiar_words import kind_of
from clusternet.legend.land_classes import MAX_CLASS, LandClass
from clusternet.legend.names import clean_name, is_made_up

MOST_CLASSES = 255
"""Of a drawing: the tiles of the map are pictures with a palette of 256 colours."""


class Session:
    """A drawing whose changes can be undone by the page that made them."""

    def __init__(self, drawing: Drawing | None = None) -> None:
        """Start from a drawing; None means two classes and no strokes."""
        self._drawing = drawing or Drawing(first_classes())
        self.history = History()
        """The steps of each page."""
        self.owner = ""
        """The page whose changes follow."""

    @property
    def drawing(self) -> Drawing:
        """The drawing as it is now."""
        return self._drawing

    @property
    def can_undo(self) -> bool:
        """True if there is a step to take back."""
        return self.history.can_undo(self.owner)

    @property
    def can_redo(self) -> bool:
        """True if there is a step to bring back."""
        return self.history.can_redo(self.owner)

    def undo(self) -> None:
        """Take back the last step of this page, if there is one; those of others stay."""
        self.whole = self.history.undo(self.owner, self.whole)

    def redo(self) -> None:
        """Bring back the step that this page took back last, if there is one."""
        self.whole = self.history.redo(self.owner, self.whole)

    @property
    def whole(self) -> Drawing:
        """The drawing that steps are taken back of: in a project, that of all scenes."""
        return self._drawing

    @whole.setter
    def whole(self, drawing: Drawing) -> None:
        self._drawing = drawing

    @contextmanager
    def whole_or_not_at_all(self) -> Iterator[None]:
        """Take back all changes of the block if it fails."""
        before, steps = self.whole, self.history.steps(self.owner)
        try:
            yield
        except BaseException:
            self.whole = before
            self.history.restore(self.owner, steps)
            raise

    def change_whole(self, step: Callable[[Drawing], Drawing]) -> None:
        """Change the drawing of all scenes, such as its classes."""
        before = self.whole
        after = _checked(step(before), before)
        if after != before:
            self.history.note(self.owner, before, after)
            self.whole = after

    def draw(self, stroke: Stroke) -> None:
        """Add a stroke of a class that exists."""
        self.drawing.find(stroke.land_class)
        self._push(held_back.with_stroke(self.drawing, stroke))

    def rub_out(self, eraser: Stroke) -> None:
        """Remove from all strokes the area that an eraser covers."""
        left = erase(self.drawing.strokes, eraser)
        if left != self.drawing.strokes:
            self._push(replace(self.drawing, strokes=left))

    def change_stroke(self, old: Stroke, new: Stroke | None) -> None:
        """Put another stroke in the place of one, or remove it.

        Raises:
            LabelError: if it is not there any more.
        """
        strokes = list(self.drawing.strokes)
        same = [i for i, stroke in enumerate(strokes) if stroke is old]
        same = same or [i for i, stroke in enumerate(strokes) if stroke == old]
        if not same:
            raise LabelError("That stroke is not there any more: another page has changed it.")
        if new == old:
            return
        if new is not None:
            self.drawing.find(new.land_class)
        strokes[same[-1] : same[-1] + 1] = [] if new is None else [new]
        self._push(replace(self.drawing, strokes=tuple(strokes)))

    def use_palette(self) -> None:
        """Give the classes colours in turn that colour-blind people can tell apart."""
        old = self.drawing.classes
        colours = palette(len(old)).tolist()
        classes = tuple(
            replace(land_class, colour=(red, green, blue))
            for land_class, (red, green, blue) in zip(old, colours, strict=True)
        )
        if classes != self.drawing.classes:
            self._push(replace(self.drawing, classes=classes))

    def clear(self) -> None:
        """Remove all strokes; classes stay."""
        if self.drawing.strokes:
            self._push(replace(self.drawing, strokes=()))

    def add_class(self) -> LandClass:
        """Add a class with a number, a name and a colour of its own."""
        names = {c.name for c in self.drawing.classes}
        number = max((c.number for c in self.drawing.classes), default=0) + 1
        while f"class {number}" in names:  # a class of another number was renamed so
            number += 1
        if number > MAX_CLASS:
            raise LabelError(f"Class numbers end at {MAX_CLASS}.")
        taken = {c.colour for c in self.drawing.classes}
        colours: list[RGB] = [(r, g, b) for r, g, b in palette(len(taken) + 12).tolist()]
        colour = next(c for c in colours if c not in taken)
        new = LandClass(number, f"class {number}", colour)
        self._push(replace(self.drawing, classes=(*self.drawing.classes, new)))
        return new

    def change_class(
        self, number: int, *, name: str | None = None, colour: RGB | None = None
    ) -> None:
        """Rename or recolour a class.

        Raises:
            LabelError: if the name is empty or another class has it.
        """
        old = self.drawing.find(number)
        name = old.name if name is None else clean_name(name, "this page")
        if not name or any(c.name == name and c.number != number for c in self.drawing.classes):
            raise LabelError(f"'{name}': a class needs a name that no other class has.")
        new = LandClass(number, name, colour or self._colour_of(name, old))
        if new != old:
            changed = tuple(new if c.number == number else c for c in self.drawing.classes)
            self._push(replace(self.drawing, classes=changed))

    def _colour_of(self, name: str, old: LandClass) -> RGB:
        """Return the colour that maps give to a first name; a class keeps one that it has."""
        taken = {c.number: c.colour for c in self.drawing.classes if c.number != old.number}
        if name == old.name or not is_made_up(old.number, old.name) or kind_of(name) is None:
            return old.colour
        names = {c.number: c.name for c in self.drawing.classes} | {old.number: name}
        return class_colours(names, taken)[old.number]

    def remove_class(self, number: int) -> None:
        """Remove a class and its strokes."""
        self.drawing.find(number)

        def step(drawing: Drawing) -> Drawing:
            classes = tuple(c for c in drawing.classes if c.number != number)
            strokes = tuple(s for s in drawing.strokes if s.land_class != number)
            return replace(drawing, classes=classes, strokes=strokes)

        self.change_whole(step)

    def hold_back_every_fifth(self) -> None:
        """Hold back every fifth stroke of each class as a check, also of those to come."""
        self.change_whole(held_back.hold_back_every_fifth)

    def hold_back_none(self) -> None:
        """Learn all strokes."""
        self.change_whole(held_back.hold_back_none)

    def replace(self, drawing: Drawing) -> None:
        """Replace the drawing by another, such as a loaded one."""
        if drawing != self.drawing:
            self._push(drawing)

    def _push(self, drawing: Drawing) -> None:
        self.change_whole(lambda _: drawing)


def _checked(after: Drawing, before: Drawing) -> Drawing:
    """Return a changed drawing.

    Raises:
        LabelError: if it could not be saved and read again, or not be shown.
    """
    names = Counter(c.name for c in after.classes)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise LabelError(f"Two classes would be called '{twice}'; rename one of them.")
    if len(after.classes) > max(MOST_CLASSES, len(before.classes)):
        raise LabelError(
            f"There would be {len(after.classes):,} classes; the page shows {MOST_CLASSES} at "
            "most. Merge or remove some, or choose another field as the class."
        )
    return after


def first_classes() -> tuple[LandClass, ...]:
    """Return the two classes that an empty session starts with."""
    colours = palette(12).tolist()
    return tuple(
        LandClass(number, f"class {number}", (red, green, blue))
        for number, (red, green, blue) in ((1, colours[2]), (2, colours[1]))
    )
