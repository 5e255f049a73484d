"""Undo and redo of drawings that several pages change, each with steps of its own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from clusternet.labels.strokes import Drawing, Stroke
from clusternet.legend.land_classes import LandClass

_MOST_STEPS = 200  # of a page that are kept for undo
_MOST_PAGES = 20  # whose steps are kept; each step holds a drawing


@dataclass(frozen=True)
class _Step:
    before: Drawing
    after: Drawing


Steps = tuple[tuple[_Step, ...], tuple[_Step, ...]]


class History:
    """The steps of each page, and which of them are taken back."""

    def __init__(self) -> None:
        """Start without steps."""
        self._done: dict[str, list[_Step]] = {}
        self._undone: dict[str, list[_Step]] = {}

    def note(self, owner: str, before: Drawing, after: Drawing) -> None:
        """Note a change that a page has made; its steps that were taken back are forgotten."""
        steps = [*self._done.pop(owner, ()), _Step(before, after)]
        self._done[owner] = steps[-_MOST_STEPS:]
        self._undone.pop(owner, None)
        for closed in list(self._done)[:-_MOST_PAGES]:  # those that changed nothing for longest
            del self._done[closed]
            self._undone.pop(closed, None)

    def steps(self, owner: str) -> Steps:
        """Return the steps of a page, and those that it took back."""
        return tuple(self._done.get(owner, ())), tuple(self._undone.get(owner, ()))

    def restore(self, owner: str, steps: Steps) -> None:
        """Let a page have these steps again."""
        self._done[owner], self._undone[owner] = map(list, steps)

    def can_undo(self, owner: str) -> bool:
        """Tell whether a page has a step to take back."""
        return bool(self._done.get(owner))

    def can_redo(self, owner: str) -> bool:
        """Tell whether a page has a step to bring back."""
        return bool(self._undone.get(owner))

    def undo(self, owner: str, now: Drawing) -> Drawing:
        """Return the drawing without the last step of a page; what other pages did stays."""
        if not self.can_undo(owner):
            return now
        step = self._done[owner].pop()
        self._undone.setdefault(owner, []).append(step)
        return merged(step.after, now, step.before)

    def redo(self, owner: str, now: Drawing) -> Drawing:
        """Return the drawing with the step of a page that was taken back last."""
        if not self.can_redo(owner):
            return now
        step = self._undone[owner].pop()
        self._done.setdefault(owner, []).append(step)
        return merged(step.before, now, step.after)


def merged(base: Drawing, now: Drawing, target: Drawing) -> Drawing:
    """Return ``now`` with the changes that lead from ``base`` to ``target``.

    A stroke or class that has changed between ``base`` and ``now`` as well stays as it is now.
    """
    if now == base:
        return target
    classes = _merged_classes(base.classes, now.classes, target.classes)
    numbers = {c.number for c in classes}
    strokes = _merged_strokes(base.strokes, now.strokes, target.strokes)
    kept = now if base.every_fifth == target.every_fifth else target
    return Drawing(classes, tuple(s for s in strokes if s.land_class in numbers), kept.every_fifth)


def _merged_strokes(
    base: Sequence[Stroke], now: Sequence[Stroke], target: Sequence[Stroke]
) -> list[Stroke]:
    removed, added = Counter(base) - Counter(target), Counter(target) - Counter(base)
    kept = []
    for stroke in reversed(now):  # of equal strokes, the later ones are those of the last step
        if removed[stroke]:
            removed[stroke] -= 1
        else:
            kept.append(stroke)
    kept.reverse()
    # A stroke is put back behind the one that it followed: later strokes count where they cross.
    place = {stroke: i for i, stroke in enumerate(kept)}
    behind: dict[int, list[Stroke]] = defaultdict(list)
    follows = -1
    for stroke in target:
        if added[stroke]:
            added[stroke] -= 1
            behind[follows].append(stroke)
        else:
            follows = place.get(stroke, follows)
    result = behind[-1]
    for i, stroke in enumerate(kept):
        result += [stroke, *behind[i]]
    return result


def _merged_classes(
    base: Sequence[LandClass], now: Sequence[LandClass], target: Sequence[LandClass]
) -> tuple[LandClass, ...]:
    before, wanted = ({c.number: c for c in classes} for classes in (base, target))
    present = {c.number: c for c in now}
    for number in before.keys() | wanted.keys():
        unchanged = present.get(number) == before.get(number)
        if not unchanged or wanted.get(number) == before.get(number):
            continue  # another page has changed it, or this step has not
        taken = {c.name for c in present.values() if c.number != number}
        if number not in wanted:
            present.pop(number)
        elif wanted[number].name not in taken:
            present[number] = wanted[number]
    same = {c.number for c in base} == {c.number for c in target}
    reordered = same and [c.number for c in base] != [c.number for c in target]
    order = [c.number for c in (target if reordered else now)]
    for i, land_class in enumerate(target):
        if land_class.number not in order:
            order.insert(i, land_class.number)
    order += [number for number in present if number not in order]
    return tuple(present[number] for number in order if number in present)
