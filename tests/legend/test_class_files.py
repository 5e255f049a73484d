"""Class lists come back as they were, and tables of other programs serve as well."""

from __future__ import annotations

import pytest

from clusternet.classes.class_table import write_class_table
from clusternet.errors import LabelError, OutputError
from clusternet.labels.strokes import Drawing
from clusternet.legend.class_files import class_rows, read_class_file, write_class_file
from clusternet.legend.class_list import read_class_list
from clusternet.legend.land_classes import LandClass
from clusternet.legend.legend import Legend, LegendRow, write_legend

CLASSES = (
    LandClass(7, "road", (90, 90, 90)), LandClass(1, "=grass, \"wet\"", (10, 200, 30)),
    LandClass(3, "Dächer", (255, 0, 1)),
)  # fmt: skip


def test_lists_come_back_in_their_order_with_numbers_names_and_colours(tmp_path):
    write_class_file(tmp_path / "list.csv", CLASSES)
    (tmp_path / "list.json").write_text(class_rows(CLASSES))
    write_class_table(tmp_path / "table.csv", Drawing(CLASSES), {7: 10}, None)
    for name in ("list.csv", "list.json", "table.csv"):
        assert read_class_file(tmp_path / name) == CLASSES
    names = read_class_list(tmp_path / "list.csv")
    assert names.names == {c.number: c.name for c in CLASSES}
    assert names.colours == {c.number: c.colour for c in CLASSES}


def test_legends_and_names_serve_as_lists(tmp_path):
    rows = tuple(LegendRow(i, CLASSES[i % 2]) for i in range(5))
    write_legend(tmp_path / "legend.csv", Legend(rows))
    assert read_class_file(tmp_path / "legend.csv") == CLASSES[:2]
    (tmp_path / "names.json").write_text('{"4": "lake", "2": "road"}')
    found = read_class_file(tmp_path / "names.json")
    assert [(c.number, c.name) for c in found] == [(2, "road"), (4, "lake")]
    (tmp_path / "edited.csv").write_text("Name;class\nroad;3\nlake;1\n")
    found = read_class_file(tmp_path / "edited.csv")
    assert [(c.number, c.name) for c in found] == [(3, "road"), (1, "lake")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [("a.csv", "name,colour\nroad,#000000\n", "has no column 'class'"),
     ("a.csv", "class,name\n", "holds no line below its header"),
     ("a.csv", "class,name\n1,a\n2,a\n", "two class numbers have the same name"),
     ("a.csv", "class,colour\n1,red\n", "line 2: colour must look like"),
     ("a.csv", "", "is empty"), ("a.json", "[1]", "class 1: expected a number"),
     ("a.json", "{}", "expected"), ("a.txt", "1", "read from .csv or .json")],
)  # fmt: skip
def test_other_files_are_refused_in_one_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(LabelError) as refused:
        read_class_file(tmp_path / name)
    assert message in str(refused.value) and name in str(refused.value)


def test_files_of_others_are_never_replaced(tmp_path):
    (tmp_path / "list.csv").write_text("class,name\n1,a\n")
    with pytest.raises(OutputError, match="no class list that ClusterNet wrote"):
        write_class_file(tmp_path / "list.csv", CLASSES, overwrite=True)
