"""Strokes that are held back as a check, in the drawing and in what is saved of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from interactive_scene import fill_cache_with_colours, make_run, make_scene
from test_workspace import until

from clusternet.interactive import workspace as workspace_module
from clusternet.interactive.session import Session
from clusternet.interactive.workspace import Workspace
from clusternet.labels.strokes import Stroke, make_line


def stroke(number: int, row: float, *, col: float | None = None, check: bool = False) -> Stroke:
    col = (number - 1) * 170 + 10 if col is None else col
    return Stroke(make_line([(col, row), (col + 40, row + 3)]), number, 3, check)


def draw(workspace: Workspace, new: Stroke) -> None:
    workspace.change(lambda session: session.draw(new))


def checks(session: Session, number: int = 1) -> list[bool]:
    return [s.is_check for s in session.drawing.strokes if s.land_class == number]


def test_every_fifth_stroke_of_each_class_is_held_back_also_later_ones_and_undo_learns_them():
    session = Session()
    for i in range(6):
        session.draw(stroke(1, 10 * i))
    session.draw(stroke(2, 0))
    session.hold_back_every_fifth()
    assert checks(session) == [0, 0, 0, 0, 1, 0] and checks(session, 2) == [0]
    for i in range(6, 10):
        session.draw(stroke(1, 10 * i))
    assert checks(session) == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    for _ in range(4):
        session.undo()
    session.undo()
    assert not any(checks(session)) and not session.drawing.every_fifth
    session.redo()
    session.hold_back_none()
    assert not any(checks(session)) and not session.drawing.every_fifth
    for i in range(5):
        session.draw(stroke(1, 100 + i))
    assert not any(checks(session))


def test_marked_strokes_stay_marked_whatever_becomes_of_the_others():
    session = Session()
    session.draw(stroke(1, 10, check=True))
    session.draw(stroke(1, 50))
    session.rub_out(Stroke(make_line([(20, 0), (20, 30)]), 0, 4))
    assert checks(session) == [1, 1, 0]  # both pieces of the first one
    session.change_class(1, name="meadow")
    session.remove_class(2)
    assert checks(session) == [1, 1, 0]


@pytest.fixture
def scene(tmp_path):
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    fill_cache_with_colours(run, raster)
    return run, raster


def test_what_is_held_back_is_known_after_a_restart(scene):
    opened = Workspace(*scene)
    for i in range(5):
        opened.change(lambda session, i=i: session.draw(stroke(1, 20 * i)))
    opened.change(Session.hold_back_every_fifth)
    drawing = opened.drawing
    opened.stop()
    again = Workspace(*scene)
    assert again.drawing.every_fifth and [s.is_check for s in again.drawing.strokes] == [
        s.is_check for s in drawing.strokes
    ]
    marked = replace(drawing.strokes[0], is_check=True)
    strokes = (marked, *drawing.strokes[1:])
    again.change(lambda s: s.replace(replace(drawing, strokes=strokes, every_fifth=False)))
    again.stop()
    third = Workspace(*scene)
    assert [s.is_check for s in third.drawing.strokes] == [1, 0, 0, 0, 1]
    assert not third.drawing.every_fifth
    third.stop()


def test_accuracy_follows_the_strokes(scene):
    opened = Workspace(*scene)
    for number in (1, 2):
        for row in (10, 80):
            draw(opened, stroke(number, row))
    opened.start()
    until(lambda: opened.check is not None and opened.check.scores.accuracy == 1)
    revision = opened.revision
    wrong = stroke(2, 45, col=60)  # on class 1
    opened.change(lambda session: session.draw(wrong))
    until(lambda: opened.checked is opened.drawing.strokes and opened.revision > revision)
    assert opened.check.scores.accuracy < 1 and opened.check.places.tolist() == [2, 3]
    opened.change(Session.undo)
    until(lambda: opened.checked is opened.drawing.strokes)
    assert opened.check.scores.accuracy == 1
    opened.stop()


def test_a_stroke_that_comes_meanwhile_ends_the_comparison(scene, monkeypatch):
    opened = Workspace(*scene)
    for number in (1, 2):
        draw(opened, stroke(number, 10))
    ended = []

    def compare(*arguments, stop):
        ended.append(stop())
        opened.change(lambda session: session.draw(stroke(1, 80)))
        ended.append(stop())

    monkeypatch.setattr(workspace_module, "check_strokes", compare)
    opened._changed.clear()
    opened._check_strokes()
    assert ended == [False, True] and opened.check is None
    opened.stop()


def test_a_place_for_more_of_a_class_is_another_one_each_time(scene):
    opened = Workspace(*scene)
    for number in (1, 2):
        draw(opened, stroke(number, 10))
    first, second = opened.suggest(2), opened.suggest(2)
    assert first is not None and second is not None and first != second
    assert opened.suggest(9) is not None  # a class without strokes: where all is least certain
    opened.stop()


def test_strokes_to_come_are_held_back_also_after_a_restart_with_few_strokes(scene, tmp_path):
    opened = Workspace(*scene)
    for i in range(3):
        draw(opened, stroke(1, 20 * i))
    opened.change(Session.hold_back_every_fifth)
    opened.exports.strokes(tmp_path / "few.gpkg")
    opened.stop()
    again = Workspace(*scene)
    for i in range(3, 5):
        draw(again, stroke(1, 20 * i))
    assert checks(again.session) == [0, 0, 0, 0, 1]
    again.change(Session.hold_back_none)
    again.load(tmp_path / "few.gpkg")
    assert again.drawing.every_fifth
    again.stop()
