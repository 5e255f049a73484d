"""What is seen of a project's drawing on one of its scenes, from several threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from itertools import product
from types import FrameType
from typing import Any

import shapely

from clusternet.interactive.scene_session import SceneSession
from clusternet.interactive.session import Session
from clusternet.labels.strokes import Stroke


def reader_stopped_at(step: int, session: SceneSession) -> Callable[[], None]:
    """Read the drawing in a thread that stops before a line of the code, counted from 0.

    Returns:
        what lets the thread read on, and waits for its end.
    """
    reached, go_on = threading.Event(), threading.Event()
    left = step

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if frame.f_code is not SceneSession.drawing.fget.__code__:
            return None
        if event == "line":
            if left == 0:
                reached.set()
                go_on.wait()
            left -= 1
        return trace

    def read() -> None:
        sys.settrace(trace)
        assert session.drawing
        sys.settrace(None)
        reached.set()

    thread = threading.Thread(target=read)
    thread.start()
    reached.wait()

    def end() -> None:
        go_on.set()
        thread.join()

    return end


def dot(col: float) -> Stroke:
    return Stroke(shapely.Point(col, 0), 1, scene="a")


def test_no_stroke_is_lost_however_threads_that_look_at_the_drawing_take_turns():
    for first, second in product(range(8), repeat=2):
        shared = Session()
        seen = SceneSession(shared, "a")
        seen.draw(dot(0))
        end_first = reader_stopped_at(first, seen)
        shared.draw(dot(1))
        end_second = reader_stopped_at(second, seen)
        end_first()
        end_second()
        seen.draw(dot(2))
        assert len(shared.drawing.strokes) == 3, (first, second)


def test_strokes_are_the_same_object_while_classes_and_other_scenes_change():
    shared = Session()
    seen = SceneSession(shared, "a")
    seen.draw(dot(0))
    before = seen.drawing
    shared.draw(Stroke(shapely.Point(5, 5), 1, scene="b"))
    assert seen.drawing is before
    shared.change_class(1, name="road")
    assert seen.drawing is not before and seen.drawing.strokes is before.strokes
