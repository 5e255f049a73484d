"""Superpixels, and the strokes that fill them."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from clusternet.errors import LabelError
from clusternet.interactive import superpixels
from clusternet.interactive.superpixels import Superpixels, View, flood, outlines, segment
from clusternet.labels.strokes import Stroke
from clusternet.windows import Window

SHAPE = (96, 120)


def two_fields() -> tuple[np.ndarray, np.ndarray]:
    """Return green left of column 50 and brown right of it, nodata in the first ten rows."""
    colours = np.full((*SHAPE, 3), (60, 140, 60), np.uint8)
    colours[:, 50:] = (190, 170, 120)
    valid = np.ones(SHAPE, bool)
    valid[:10] = False
    return colours, valid


def test_superpixels_end_at_edges_of_the_image_and_at_nodata():
    colours, valid = two_fields()
    labels = segment(colours, valid)
    assert not labels[~valid].any() and (labels[valid] > 0).all()
    left, right = set(np.unique(labels[10:, :50])), set(np.unique(labels[10:, 50:]))
    assert len(left) > 3 and not left & right
    shown = outlines(labels)
    assert shown[3, 20:, 50].all() and not shown[3, :9].any()


def test_flood_covers_exactly_the_superpixels_below_the_pen():
    labels = segment(*two_fields())
    view = View(Window(200, 300, 2 * SHAPE[0], 2 * SHAPE[1]), 2)
    place = (300 + 2 * 30 + 0.5, 200 + 2 * 40 + 0.5)  # (col, row) of the scene
    area = flood(view, labels, [place])
    wanted = np.argwhere(np.repeat(np.repeat(labels == labels[40, 30], 2, 0), 2, 1))
    covered = Stroke(area, 1).pixels((500, 600))
    np.testing.assert_array_equal(covered, wanted + np.array([200, 300]))
    several = flood(view, labels, [place, (place[0] + 100, place[1])])
    assert several.area > 2 * area.area and several.contains(area)
    with pytest.raises(LabelError, match="no superpixel"):
        flood(view, labels, [(310, 203)])  # nodata


def test_flooded_stroke_survives_a_file_with_the_same_pixels(tmp_path):
    from affine import Affine

    from clusternet.labels.stroke_files import DrawingGrid, read_strokes, write_strokes
    from clusternet.labels.strokes import Drawing
    from clusternet.legend.land_classes import LandClass

    labels = segment(*two_fields())
    area = flood(View(Window(0, 0, *SHAPE), 1), labels, [(20, 30), (90, 80)])
    grid = DrawingGrid(SHAPE, Affine(0.3, 0, 448_000.1, 0, -0.3, 5_412_000.7), None, "scene")
    drawing = Drawing((LandClass(1, "field", (1, 2, 3)),), (Stroke(area, 1),))
    for suffix in ("gpkg", "geojson"):
        path = tmp_path / f"strokes.{suffix}"
        write_strokes(path, drawing, grid)
        again = read_strokes(path, grid).strokes[0]
        np.testing.assert_array_equal(again.pixels(SHAPE), drawing.strokes[0].pixels(SHAPE))


def test_large_views_are_taken_coarsely_and_views_beyond_the_scene_refused(monkeypatch):
    monkeypatch.setattr(superpixels, "MOST_PIXELS", 1000)
    view = View.shown(Window(10, 20, 100, 90), 1, (5000, 5000))
    assert view.step == 4 and view.window == Window(10, 20, 100, 88)
    for window, step in (
        (Window(9000, 0, 5, 5), 1),
        (Window(0, 0, 5, 5), 0),
        (Window(-1, 0, 9, 9), 1),
    ):
        with pytest.raises(LabelError):
            View.shown(window, step, (100, 100))


def test_superpixels_of_a_view_are_computed_once_for_each_look():
    calls = []

    def read(window: Window, step: int) -> tuple[np.ndarray, np.ndarray]:
        calls.append(window)
        return two_fields()

    kept, view = Superpixels(), View(Window(0, 0, *SHAPE), 1)
    first = kept.labels(view, "look", read)
    assert kept.labels(view, "look", read) is first and len(calls) == 1
    kept.labels(view, "other bands", read)
    assert len(calls) == 2


def test_area_whose_outline_crosses_itself_is_taken_in_parts():
    from clusternet.labels.strokes import make_area

    bow = make_area([(0, 0), (10, 10), (10, 0), (0, 10)])
    assert bow.is_valid and bow.area == 50
    for points in ([(0, 0), (5, 5)], [(0, 0), (5, 5), (10, 10)], [(0, 0)], [], [(0, np.nan)] * 3):
        with pytest.raises(LabelError):
            make_area(points)
    assert make_area([(0, 0), (4, 0), (4, 4), (0, 4)]).equals(shapely.box(0, 0, 4, 4))


def test_a_line_of_any_length_is_followed_at_no_more_positions_than_memory_has_room_for():
    labels = segment(*two_fields())
    area = flood(View(Window(0, 0, *SHAPE), 1), labels, [(30, 40), (1e12, 1e12)])
    assert area.contains(shapely.Point(30, 40))
