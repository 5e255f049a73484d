"""Legends: what is written is read back, and what people do to them by hand is understood."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusternet.errors import LabelError, OutputError
from clusternet.legend.land_classes import (
    LandClass,
    make_classes,
    read_class_names,
    unknown_class,
)
from clusternet.legend.legend import Legend, LegendRow, read_legend, write_legend
from clusternet.types import NO_CLASS

WATER = LandClass(2, "water", (0, 0, 255))
ROAD = LandClass(0, "road, paved", (90, 90, 90))
LEGEND = Legend(
    (LegendRow(0, WATER, 30, 0.9), LegendRow(1, ROAD, 5, 0.6), LegendRow(3, WATER)), "ab12"
)


@pytest.fixture
def write_text(tmp_path: Path):
    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "legend.csv"
        path.write_text(text, encoding=encoding)
        return path

    return write


def test_a_written_legend_is_read_back(tmp_path: Path) -> None:
    write_legend(tmp_path / "legend.csv", LEGEND)
    assert read_legend(tmp_path / "legend.csv") == LEGEND


@given(data=st.data())
def test_any_legend_survives_the_file(data: st.DataObject, tmp_path_factory) -> None:
    text = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=8)
    names = data.draw(st.lists(text, min_size=1, max_size=4, unique=True))
    colour = st.tuples(*[st.integers(0, 255)] * 3)
    classes = [LandClass(i, name, data.draw(colour)) for i, name in enumerate(names)]
    clusters = sorted(data.draw(st.sets(st.integers(0, 300), min_size=1, max_size=6)))
    rows = tuple(
        LegendRow(c, data.draw(st.sampled_from(classes)), data.draw(st.integers(0, 99)))
        for c in clusters
    )
    path = tmp_path_factory.mktemp("legend") / "legend.csv"
    write_legend(path, Legend(rows))
    assert read_legend(path) == Legend(rows)


def test_a_spreadsheets_legend_is_understood(write_text) -> None:
    path = write_text("name;class;cluster;note\nwater;2;1;deep\n;2;0;\n;;;\n", "utf-8-sig")
    legend = read_legend(path)
    assert [row.cluster for row in legend.rows] == [0, 1]
    assert {row.land_class.name for row in legend.rows} == {"water"}


def test_decimal_commas_in_purity_are_understood(write_text) -> None:
    legend = read_legend(write_text("cluster;class;votes;purity\n0;1;12;0,75\n"))
    assert (legend.rows[0].votes, legend.rows[0].purity) == (12, 0.75)


def test_classes_without_name_and_colour_get_some(write_text) -> None:
    classes = read_legend(write_text("cluster,class\n0,1\n1,4\n")).classes
    assert classes[4].name == "class 4"
    assert classes[1].colour != classes[4].colour


def test_lookup_leaves_missing_clusters_open() -> None:
    assert LEGEND.lookup().tolist() == [2, 0, NO_CLASS, 2]


def test_names_and_colours_stand_at_the_class_number() -> None:
    assert LEGEND.names() == ["road, paved", "", "water"]
    assert LEGEND.colours().tolist() == [[90, 90, 90], [0, 0, 0], [0, 0, 255]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cluster,name\n0,water\n", "no column 'class'; there are cluster, name"),
        ("cluster,class\n", "no line below its header"),
        ("", "is empty"),
        ("cluster,class,class\n0,1,1\n", "two columns of the same name"),
        ("cluster,class\n0,1\n0,2\n", "line 3: cluster 0 stands already in line 2"),
        ("cluster,class\n0,1\n1,water\n", "line 3: class must be a whole number"),
        ("cluster,class\n0,-1\n", "line 2: class must be a whole number from 0 to 65534"),
        ("cluster,class\n0,65535\n", "from 0 to 65534, found '65535'"),
        ("cluster,class\n1.5,0\n", "line 2: cluster must be a whole number"),
        ("cluster,class\n0\n", "line 2: class must be a whole number"),
        ("cluster,class,colour\n0,1,blue\n", "line 2: colour must look like #1f77b4, found 'blue'"),
        ("cluster,class,name\n0,1,a\n1,1,b\n", "line 3: class 1 has the name b here and a above"),
        ("cluster,class,name\n0,1,a\n1,2,a\n", "two class numbers have the same name"),
        ("cluster,class,colour\n0,1,#000000\n1,1,#0000ff\n", "line 3: class 1 has the colour"),
        ("cluster,class,run\n0,1,a\n1,1,b\n", "line 3: run b differs from a above"),
        ("cluster,class,votes\n0,1,many\n", "line 2: votes and purity must be numbers"),
    ],
)
def test_a_bad_legend_is_refused_with_its_line(write_text, text: str, message: str) -> None:
    with pytest.raises(LabelError) as error:
        read_legend(write_text(text))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_legend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="No such file"):
        read_legend(tmp_path / "legend.csv")


def test_a_legend_in_another_encoding_is_refused(write_text) -> None:
    with pytest.raises(LabelError, match="UTF-8"):
        read_legend(write_text("cluster,class,name\n0,1,Gewässer\n", "latin-1"))


def test_an_existing_legend_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "legend.csv"
    write_legend(path, LEGEND)
    with pytest.raises(OutputError, match="--overwrite"):
        write_legend(path, Legend(LEGEND.rows[:1]))
    assert read_legend(path) == LEGEND


def test_unknown_is_a_new_class_above_the_others() -> None:
    assert unknown_class(make_classes([0, 4])).number == 5


def test_a_class_called_unknown_is_used() -> None:
    assert unknown_class(make_classes([0, 4], {0: "Unknown"})).number == 0


def test_class_names_are_read(write_text) -> None:
    assert read_class_names(write_text('{"0": "land", "7": "sea"}')) == {0: "land", 7: "sea"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[1]", "expected {"),
        ("{}", "expected {"),
        ('{"a": "b"}', 'found "a": "b"'),
        ('{"0": 5}', 'found "0": 5'),
        ('{"0": "a", "1": "a"}', "same name"),
    ],
)
def test_bad_class_names_are_refused(write_text, text: str, message: str) -> None:
    with pytest.raises(LabelError) as error:
        read_class_names(write_text(text))
    assert message in str(error.value)
