"""How progress is shown: a bar on a terminal, lines that a program reads, or not at all.

The environment variable CLUSTERNET_PROGRESS says which, so that child processes do the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "CLUSTERNET_PROGRESS"
NONE, LINES = "none", "lines"
LINE_START = "PROGRESS: "
"""How each line starts; then come the steps done, those in all, and what is done."""


def is_hidden() -> bool:
    """Tell whether nothing is shown, not even on a terminal."""
    return os.environ.get(VARIABLE) == NONE


def in_lines() -> bool:
    """Tell whether progress is written in lines, also where there is no terminal."""
    return os.environ.get(VARIABLE) == LINES


def in_notebook() -> bool:
    """Tell whether this process runs the cells of a notebook."""
    return "ipykernel" in sys.modules


@contextmanager
def progress_shown(shown: bool) -> Iterator[None]:
    """Hide progress within the block, unless it is shown."""
    before = os.environ.get(VARIABLE)
    if not shown:
        os.environ[VARIABLE] = NONE
    try:
        yield
    finally:
        if not shown:
            del os.environ[VARIABLE]
            if before is not None:
                os.environ[VARIABLE] = before
