"""The progress bar of every long loop, which is also where the loop answers signals."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from clusternet.processes.interrupts import interrupts
from clusternet.processes.showing import LINE_START, in_lines, in_notebook, is_hidden

if in_notebook():
    from tqdm.auto import tqdm  # a widget where there are widgets

_LINE = f"{LINE_START}{{n}}/{{total}} {{desc}}"
_SECONDS = 0.5  # between two lines


class Progress(tqdm):  # type: ignore[type-arg]  # generic in its stubs, but not at run time
    """A bar, silent where there is no terminal; stops its loop when a signal has asked to.

    In notebooks it is the bar of ``tqdm.auto``.

    With CLUSTERNET_PROGRESS=lines it writes lines for other programs instead, also to a pipe.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take the arguments of tqdm."""
        disable: bool | None = True if is_hidden() else False if in_notebook() else None
        if in_lines():
            disable = False
            options |= dict(bar_format=_LINE, file=_Lines(), mininterval=_SECONDS)
        super().__init__(*args, disable=disable, **options)  # type: ignore[call-overload]

    def __iter__(self) -> Iterator[Any]:
        """Yield the items.

        Raises:
            KeyboardInterrupt: after an item, if a signal has asked to stop.
        """
        for item in super().__iter__():
            yield item
            interrupts.check()

    def update(self, n: float | None = 1) -> bool | None:
        """Count a step that is done.

        Raises:
            KeyboardInterrupt: if a signal has asked to stop.
        """
        interrupts.check()
        return super().update(n)


class _Lines:
    """Writes what tqdm draws over each other as lines one below the other."""

    def __init__(self) -> None:
        self._last = ""

    def write(self, text: str) -> None:
        start = text.find(LINE_START)  # before it tqdm moves the cursor
        line = text[start:].strip() if start >= 0 else ""
        if line and line != self._last:
            sys.stderr.write(f"{line}\n")
            self._last = line

    def flush(self) -> None:
        sys.stderr.flush()
