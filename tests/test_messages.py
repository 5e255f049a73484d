"""What every message of the package keeps to: short, without definitions, with flags that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_architecture import PACKAGE, parsed

from clusternet.command_line.options import OPTIONS
from clusternet.messages import MOST, without_flags

ROOM_FOR_NAMES = 100  # characters of a message that paths and values may take
OF_ALL = {"--config", "--help", "--verbose", "--quiet", "--version"}
FOREIGN_FLAGS = {"--bidx", "--calc", "--colorinterp", "--crs", "--description", "--dst", "--like",
                 "--src", "--xla_gpu_deterministic_ops"}  # fmt: skip
"""Of the commands of rasterio and GDAL that messages tell people to run, and of XLA."""


def fixed_letters(node: ast.expr) -> int:
    """Return the characters of a message that do not depend on its values, at most."""
    if isinstance(node, ast.Constant):
        return len(node.value) if isinstance(node.value, str) else 0
    if isinstance(node, ast.JoinedStr):
        return sum(map(fixed_letters, node.values))
    if isinstance(node, ast.FormattedValue):
        return fixed_letters(node.value) if not isinstance(node.value, ast.Constant) else 0
    if isinstance(node, ast.BinOp):
        return fixed_letters(node.left) + fixed_letters(node.right)
    if isinstance(node, ast.IfExp):
        return max(fixed_letters(node.body), fixed_letters(node.orelse))
    return 0


def messages(path: Path) -> Iterator[tuple[int, ast.expr]]:
    """Yield the line and text of what a module raises and logs."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and node.args:
            name = ast.unparse(node.func)
            if name.endswith("Error") or name.startswith("logger."):
                yield node.lineno, node.args[0]


def texts(path: Path) -> Iterator[str]:
    """Yield the texts of a module that are no descriptions of its parts."""
    described = {
        id(node.body[0].value)
        for node in ast.walk(parsed(path))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(parsed(path)):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in described:
            yield node.value


def test_messages_leave_room_for_names() -> None:
    long = [
        f"{name}, line {line}"
        for name, path in PACKAGE.items()
        for line, text in messages(path)
        if fixed_letters(text) > MOST - _room(text)
    ]
    assert long == []


def _room(text: ast.expr) -> int:
    # what is logged names fewer things, and costs no command its end
    return ROOM_FOR_NAMES // 2 if "%" in ast.unparse(text) else ROOM_FOR_NAMES


def test_no_message_holds_the_definition_of_a_crs() -> None:
    """A CRS as it stands is written as WKT, unless it has a number."""
    shown = [
        f"{name}, line {line}: {ast.unparse(value.value)}"
        for name, path in PACKAGE.items()
        for line, text in messages(path)
        for value in ast.walk(text)
        if isinstance(value, ast.FormattedValue)
    ]
    assert [text for text in shown if re.search(r"(\bcrs|_wkt\(\))$", text)] == []


def test_flags_in_messages_exist() -> None:
    known = {f"--{option}" for option in OPTIONS} | FOREIGN_FLAGS | OF_ALL
    unknown = {
        f"{name}: {flag}"
        for name, path in PACKAGE.items()
        for text in texts(path)
        if len(text) < MOST  # longer ones are style sheets
        for flag in re.findall(r"--[a-z_]{3,}", text)
        if flag not in known
    }
    assert unknown == set()


@pytest.mark.parametrize(
    ("text", "left"),
    [("a.gpkg: holds several layers (b, c); choose one with --layer.",
      "a.gpkg: holds several layers (b, c)."),
     ("a.gpkg: has no field 'class'; name it with --class_field. Fields there: a, b.",
      "a.gpkg: has no field 'class'. Fields there: a, b."),
     ("a.gpkg: has no field 'x' (--class_field); fields there: a.",
      "a.gpkg: has no field 'x'; fields there: a."),
     ("a.tif: has no CRS; run rio edit-info --crs EPSG:1 a.tif.", "a.tif: has no CRS."),
     ("memory ran out; free some, or lower --workers, --window_size.", "memory ran out."),
     ("--prefer: expected recall.", "prefer: expected recall."),
     ("/a--layer/b.gpkg: is no file.", "/a--layer/b.gpkg: is no file.")],
)  # fmt: skip
def test_advice_that_names_flags_can_be_left_out(text, left):
    assert without_flags(text) == left
