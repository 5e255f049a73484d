"""Undo of each page, when several pages draw on one scene."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import shapely

from clusternet.errors import LabelError
from clusternet.interactive.session import Session
from clusternet.labels.class_changes import use_classes
from clusternet.labels.strokes import Stroke
from clusternet.legend.land_classes import make_classes


def stroke(col: float, number: int = 1) -> Stroke:
    return Stroke(shapely.LineString([(col, 0), (col, 9)]), number)


def drawn(session: Session) -> list[float]:
    return [each.geometry.coords[0][0] for each in session.drawing.strokes]


def draw(session: Session, owner: str, *cols: float) -> None:
    for col in cols:
        session.owner = owner
        session.draw(stroke(col))


def take_back(session: Session, owner: str) -> None:
    session.owner = owner
    session.undo()


def test_each_page_takes_back_its_own_steps_only():
    session = Session()
    draw(session, "a", 1, 2)
    draw(session, "b", 3)
    draw(session, "a", 4)
    take_back(session, "b")
    assert drawn(session) == [1, 2, 4]
    take_back(session, "b")  # has no other step
    assert drawn(session) == [1, 2, 4]
    take_back(session, "a")
    take_back(session, "a")
    assert drawn(session) == [1]
    session.owner = "b"
    session.redo()
    assert drawn(session) == [1, 3]
    session.owner = "a"
    session.redo()
    assert drawn(session) == [1, 2, 3]  # in the order in which they lay over each other


def test_strokes_that_a_page_removed_come_back_below_those_drawn_since():
    session = Session()
    draw(session, "a", 1, 2, 3)
    session.clear()
    draw(session, "b", 9)
    take_back(session, "a")
    assert drawn(session) == [1, 2, 3, 9]


def test_what_another_page_has_built_on_stays():
    session = Session()
    draw(session, "a", 1)
    old = session.drawing.strokes[0]
    session.owner = "b"
    session.change_stroke(old, old.moved(0, 5))
    take_back(session, "a")  # the stroke that a drew is now one of b
    assert drawn(session) == [6]
    take_back(session, "b")
    assert drawn(session) == [1]


def test_classes_of_other_pages_stay_and_no_stroke_is_left_without_a_class():
    session = Session()
    session.owner = "a"
    new = session.add_class()
    session.owner = "b"
    session.change_class(1, name="lake")
    session.draw(stroke(5, new.number))
    take_back(session, "a")
    assert [c.name for c in session.drawing.classes] == ["lake", "class 2"]
    assert drawn(session) == []
    session.owner = "b"
    session.undo()
    session.undo()
    assert [c.name for c in session.drawing.classes] == ["class 1", "class 2"]


def test_a_name_that_another_class_has_taken_since_is_not_given_twice():
    session = Session()
    session.owner = "a"
    session.change_class(1, name="lake")
    session.owner = "b"
    session.change_class(2, name="class 1")
    take_back(session, "a")
    assert [c.name for c in session.drawing.classes] == ["lake", "class 1"]


def test_picked_stroke_gets_a_class_moves_and_goes_and_all_is_undone():
    session = Session()
    draw(session, "", 1, 2, 3)
    second = session.drawing.strokes[1]
    session.change_stroke(second, replace(second, land_class=2))
    assert [s.land_class for s in session.drawing.strokes] == [1, 2, 1]
    session.change_stroke(session.drawing.strokes[1], session.drawing.strokes[1].moved(4, 10))
    assert drawn(session) == [1, 12, 3]  # it stays between the others: later strokes lie on top
    assert session.drawing.strokes[1].geometry.coords[0][1] == 4
    session.change_stroke(session.drawing.strokes[0], None)
    assert drawn(session) == [12, 3]
    with pytest.raises(LabelError, match="not there any more"):
        session.change_stroke(second, None)
    with pytest.raises(LabelError, match="no class 7"):
        session.change_stroke(session.drawing.strokes[0], stroke(1, 7))
    for _ in range(3):
        session.undo()
    assert drawn(session) == [1, 2, 3]
    assert [s.land_class for s in session.drawing.strokes] == [1, 1, 1]


def test_colours_that_colour_blind_people_can_tell_apart_are_given_and_undone():
    session = Session()
    session.change_class(1, colour=(255, 0, 0))
    session.change_class(2, colour=(0, 255, 0))
    before = session.drawing
    session.use_palette()
    assert [c.colour for c in session.drawing.classes] == [(0, 114, 178), (230, 159, 0)]
    session.use_palette()  # changes nothing, and is no step
    session.undo()
    assert session.drawing == before


def test_a_new_class_gets_a_name_that_no_other_class_was_given():
    session = Session()
    session.change_class(2, name="class 3")
    assert session.add_class().name == "class 4"


def test_no_change_gives_two_classes_one_name():
    session = Session()
    twins = tuple(replace(c, name="road") for c in session.drawing.classes)
    with pytest.raises(LabelError, match="Two classes would be called 'road'"):
        session.replace(replace(session.drawing, classes=twins))
    assert [c.name for c in session.drawing.classes] == ["class 1", "class 2"]
    assert not session.can_undo


def test_more_classes_than_tiles_have_colours_are_refused():
    session = Session()
    many = make_classes(range(256)).values()
    with pytest.raises(LabelError, match="would be 256 classes; the page shows 255"):
        session.change_whole(lambda whole: use_classes(whole, tuple(many)))


def test_undo_keeps_it_as_another_page_has_it_whether_strokes_are_held_back():
    session = Session()
    draw(session, "a", 1)
    session.owner = "b"
    session.hold_back_every_fifth()
    take_back(session, "a")
    assert session.drawing.every_fifth
    take_back(session, "b")
    assert not session.drawing.every_fifth


def test_many_strokes_come_back_at_once_after_another_page_has_drawn():
    session = Session()
    session.replace(replace(session.drawing, strokes=tuple(map(stroke, range(3000)))))
    session.owner = "a"
    session.clear()
    draw(session, "b", 9999)
    before = time.process_time()
    take_back(session, "a")
    assert drawn(session) == [*range(3000), 9999]
    assert time.process_time() - before < 2  # some 20 ms; a search for each took 20 s


def test_steps_are_kept_of_the_pages_that_drew_last():
    session = Session()
    for number in (*range(30), 0):
        draw(session, f"page {number}", number)
    kept = [n for n in range(30) if session.history.can_undo(f"page {n}")]
    assert kept == [0, *range(11, 30)]
