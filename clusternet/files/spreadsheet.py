"""Text in CSV files that spreadsheets open.

A cell that starts with =, +, - or @ is a formula to a spreadsheet, which may run it. An
apostrophe before it makes it plain text.
"""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def as_cell(text: str) -> str:
    """Return text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def from_cell(cell: str) -> str:
    """Return the text of a cell that `as_cell` made; other cells are returned unchanged."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
