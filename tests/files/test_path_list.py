"""Long lists of paths: the order of paths, and the memory of their names."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from clusternet.files.path_list import PathList

names = st.lists(
    st.lists(st.text("aB-.é\udc80 0", min_size=1).filter(lambda part: part.strip(".")), min_size=1)
    .map("/".join),
    unique=True,
)  # fmt: skip


@given(names)
def test_paths_come_back_in_the_order_of_paths(names: list[str]) -> None:
    expected = sorted(Path(name) for name in names)

    found = PathList.in_order(list(names))

    assert list(found) == expected
    assert pickle.loads(pickle.dumps(found)) == found


def test_parts_of_a_list_are_lists() -> None:
    paths = PathList(f"scene/{number}.png" for number in range(9))

    assert list(paths[2:5]) == [Path(f"scene/{number}.png") for number in (2, 3, 4)]
    assert paths[2:5] == PathList(f"scene/{number}.png" for number in (2, 3, 4))
    assert paths[-1] == Path("scene/8.png")
    assert Path("scene/3.png") in paths
    assert len(paths[9:]) == 0


def test_a_path_takes_few_bytes_more_than_its_name() -> None:
    name = "scene/00000_00000.png"
    sent = pickle.dumps(PathList(name for _ in range(10_000)))
    assert len(sent) < 10_000 * (len(os.fsencode(name)) + 9)
