"""Classes in another order, merged, and of other drawings: no stroke changes its name."""

from __future__ import annotations

import pytest
import shapely

from clusternet.errors import LabelError
from clusternet.labels.class_changes import add_drawing, merge_class, move_class, use_classes
from clusternet.labels.strokes import Drawing, Stroke
from clusternet.legend.land_classes import LandClass

GRASS = LandClass(1, "grass", (1, 1, 1))
ROAD = LandClass(2, "road", (2, 2, 2))
ROOF = LandClass(5, "roof", (5, 5, 5))


def stroke(number: int) -> Stroke:
    return Stroke(shapely.Point(number, number), number)


def drawing(*classes: LandClass, drawn: tuple[int, ...] = ()) -> Drawing:
    return Drawing(classes, tuple(map(stroke, drawn)))


def names(found: Drawing) -> list[str]:
    """Return the name of the class of each stroke."""
    return [found.find(each.land_class).name for each in found.strokes]


@pytest.mark.parametrize(
    ("place", "order"), [(0, [5, 1, 2]), (1, [1, 5, 2]), (2, [1, 2, 5]), (9, [1, 2, 5]),
                         (-3, [5, 1, 2])],
)  # fmt: skip
def test_a_class_moves_and_keeps_its_number_and_strokes(place, order):
    found = move_class(drawing(GRASS, ROAD, ROOF, drawn=(5, 1)), 5, place)
    assert [c.number for c in found.classes] == order and names(found) == ["roof", "grass"]


def test_merged_classes_are_one():
    found = merge_class(drawing(GRASS, ROAD, ROOF, drawn=(1, 2, 5, 2)), 2, 5)
    assert found.classes == (GRASS, ROOF) and names(found) == ["grass", "roof", "roof", "roof"]
    with pytest.raises(LabelError, match="another class"):
        merge_class(found, 1, 1)
    with pytest.raises(LabelError):
        merge_class(found, 1, 2)


def test_added_strokes_keep_the_names_of_their_classes_whatever_numbers_they_have():
    here = drawing(GRASS, ROAD, drawn=(1, 2))
    other = drawing(
        LandClass(1, "road", (9, 9, 9)), LandClass(2, "lake", (2, 2, 2)), drawn=(1, 2, 1)
    )
    found = add_drawing(here, other)
    assert names(found) == ["grass", "road", "road", "lake", "road"]
    assert [c.name for c in found.classes] == ["grass", "road", "lake"]
    assert len({c.number for c in found.classes}) == len({c.colour for c in found.classes}) == 3
    assert found.classes[:2] == here.classes


def test_classes_without_a_name_are_those_of_their_number():
    here = drawing(GRASS, ROAD, drawn=(1,))
    nameless = drawing(LandClass(2, "class 2", (9, 9, 9)), LandClass(7, "class 7", (8, 8, 8)),
                       drawn=(2, 7))  # fmt: skip
    found = add_drawing(here, nameless)
    assert names(found) == ["grass", "road", "class 7"] and found.strokes[-1].land_class == 7


def test_a_list_gives_order_numbers_names_and_colours():
    listed = (LandClass(2, "roof", (7, 7, 7)), LandClass(1, "road", (8, 8, 8)))
    here = drawing(GRASS, ROAD, ROOF, LandClass(9, "class 9", (0, 0, 0)), drawn=(1, 2, 5))
    found = use_classes(here, listed)
    assert found.classes[:2] == listed and names(found) == ["grass", "road", "roof"]
    assert [c.name for c in found.classes] == ["roof", "road", "grass"]  # class 9 was never used
    assert len({c.number for c in found.classes}) == 3
    fresh = drawing(
        LandClass(1, "class 1", (3, 3, 3)), LandClass(2, "class 2", (4, 4, 4)), drawn=(1,)
    )
    assert names(use_classes(fresh, listed)) == ["road"]


def test_the_highest_number_leaves_room_for_others():
    here = drawing(LandClass(65534, "last", (1, 1, 1)), drawn=(65534,))
    other = drawing(LandClass(65534, "other", (1, 1, 1)), drawn=(65534,))
    found = add_drawing(here, other)
    assert names(found) == ["last", "other"] and found.classes[1].number == 1
