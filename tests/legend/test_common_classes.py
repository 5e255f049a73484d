"""Classes of several files are matched by name; numbers decide only where there are no names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusternet.errors import LabelError
from clusternet.legend.class_list import make_class_list
from clusternet.legend.common_classes import Statement, match_classes

NAMES = st.sampled_from(["field", "forest", "water", "well", "Forest", "7"])
TABLES = st.dictionaries(st.integers(0, 9), NAMES, max_size=4)


def statement(file: str, names=None, loose=(), numbers=()) -> Statement:
    return Statement(Path(file), names or {}, frozenset(loose), frozenset(numbers))


@given(tables=st.lists(TABLES, min_size=1, max_size=4), loose=st.lists(st.sets(NAMES), max_size=3))
def test_equal_names_meet_and_others_do_not(tables, loose) -> None:
    files = [statement(f"r{i}.tif", table) for i, table in enumerate(tables) if table]
    files += [statement(f"v{i}.gpkg", loose=names - {"7"}) for i, names in enumerate(loose)]
    common = match_classes([file for file in files if not file.is_nameless])
    number_of: dict[str, int] = {}
    for file in common.statements.values():
        onto = common.renumbering(file.path)
        for number, name in file.names.items():
            number_there = int(onto.apply(np.array([number], np.int32))[0])
            assert number_of.setdefault(name, number_there) == number_there == common.numbers[name]
        for name in file.loose_names:
            assert number_of.setdefault(name, onto.common(name)) == onto.common(name)
    assert len(set(number_of.values())) == len(number_of)


def test_a_file_without_one_class_keeps_the_others_where_they_are() -> None:
    maps = statement("map.tif", {0: "field", 1: "forest", 2: "water"})
    labels = statement("valid.tif", {0: "forest", 1: "water"})
    common = match_classes([labels], maps=[maps])
    assert common.renumbering(labels.path).apply(np.array([0, 1, 1], np.int32)).tolist() == [
        1,
        2,
        2,
    ]
    assert common.renumbering(maps.path).apply(np.array([0, 1, 2], np.int32)).tolist() == [0, 1, 2]
    assert common.basis() == ""


def test_names_without_numbers_are_numbered_by_alphabet() -> None:
    common = match_classes([statement("a.gpkg", loose=["water", "field"])])
    assert common.numbers == {"field": 0, "water": 1}


def test_a_stray_name_does_not_renumber_numbers() -> None:
    common = match_classes([statement("a.gpkg", loose=["3?"], numbers=[1, 2, 3])])
    onto = common.renumbering(Path("a.gpkg"))
    assert [onto.common(key) for key in (1, 2, 3, "3?")] == [1, 2, 3, 4]


def test_numbers_that_the_user_names_are_kept_free() -> None:
    common = match_classes([statement("a.gpkg", loose=["field"])], reserved=[0])
    assert common.numbers == {"field": 1}


def test_numbers_decide_where_there_are_no_names() -> None:
    maps, labels = statement("map.tif", {0: "field", 1: "forest"}), statement("truth.png")
    common = match_classes([labels], maps=[maps])
    assert common.renumbering(labels.path).apply(np.array([0, 1, 5], np.int32)).tolist() == [
        0,
        1,
        5,
    ]
    assert common.basis() == "classes matched by number: truth.png states no names"
    both = match_classes([labels], maps=[statement("map.tif")])
    assert both.basis() == "classes matched by number: no file states names"


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([statement("a.gpkg", loose=["field"])], "a.gpkg holds names (field); say which number"),
        (
            [statement("a.tif", {1: "field"}), statement("b.tif", {1: "water"})],
            "other files call number 1 'field' and 'water'; say which it is with --classes",
        ),
    ],
)
def test_numbers_that_could_mean_several_names_are_refused(others, message: str) -> None:
    with pytest.raises(LabelError) as error:
        match_classes([statement("truth.png"), *others])
    assert message in str(error.value)
    listed = make_class_list({0: "field", 1: "water"})  # the advice works
    onto = match_classes([statement("truth.png"), *others], given=listed).renumbering(
        Path("truth.png")
    )
    assert onto.apply(np.array([0, 1], np.int32)).tolist() == [0, 1]


def test_a_number_without_name_is_refused_where_numbers_differ() -> None:
    files = [statement("a.tif", {1: "field"}), statement("b.tif", {2: "field"})]
    with pytest.raises(LabelError, match=r"b\.tif: names some of its classes but not 1"):
        match_classes(files).renumbering(Path("b.tif")).common(1)


def test_the_users_list_decides() -> None:
    listed = make_class_list({5: "field", 6: "water", 0: "unlabelled"})
    files = [statement("a.tif", {0: "water", 1: "lake"}), statement("b.gpkg", loose=["field"])]
    common = match_classes(files, given=listed)
    assert common.renumbering(Path("a.tif")).common(0) == 6
    assert common.renumbering(Path("b.gpkg")).common("field") == 5
    with pytest.raises(LabelError, match="the class 'lake', which is not in the class list"):
        common.renumbering(Path("a.tif")).common(1)
    assert common.renumbering(Path("a.tif"), is_map=True).common(1) not in (5, 6)


def test_a_name_that_differs_by_case_is_pointed_to() -> None:
    common = match_classes(
        [statement("a.gpkg", loose=["Field"])], given=make_class_list({0: "field"})
    )
    with pytest.raises(LabelError, match="upper and lower case differ from 'field'"):
        common.renumbering(Path("a.gpkg")).common("Field")


def test_two_classes_that_differ_by_case_are_warned_of(caplog) -> None:
    match_classes([statement("a.gpkg", loose=["Field", "field"])])
    assert "'Field' and 'field' differ by upper and lower case only" in caplog.text


def test_names_that_say_there_is_no_class_are_kept_apart() -> None:
    common = match_classes([statement("a.tif", {0: "unlabelled", 1: "field"})])
    assert common.classes.names == {1: "field"}
    assert common.classes.no_classes == {0: "unlabelled"}
