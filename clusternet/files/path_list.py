"""A long list of relative paths that takes about as much memory as their names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np


class PathList(Sequence[Path]):
    """Relative paths. A `Path` takes some 500 bytes, too many where there are a million."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take paths as `Path.as_posix` gives them."""
        text, ends = bytearray(), [0]
        for name in names:
            text += os.fsencode(name)
            ends.append(len(text))
        self._text, self._ends = bytes(text), np.array(ends, np.int64)

    @classmethod
    def in_order(cls, names: list[str]) -> PathList:
        """Take paths in any order, and sort the list as paths are sorted: folder by folder."""
        names.sort(key=_parts)
        return cls(names)

    def __len__(self) -> int:
        """Return the number of paths."""
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> PathList: ...
    def __getitem__(self, index: int | slice) -> Path | PathList:
        """Return a path, or the list of some of them."""
        if isinstance(index, slice):
            return PathList(self._name(number) for number in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return Path(self._name(index % len(self)))

    def __eq__(self, other: object) -> bool:
        """Tell whether the other list holds the same paths in the same order."""
        if not isinstance(other, PathList):
            return NotImplemented
        return self._text == other._text and np.array_equal(self._ends, other._ends)

    def __hash__(self) -> int:
        """Equal lists have equal hashes."""
        return hash((self._text, len(self)))

    def _name(self, index: int) -> str:
        return os.fsdecode(self._text[self._ends[index] : self._ends[index + 1]])


def _parts(name: str) -> str:
    """Return a name that sorts as the path does: the end of a folder's name comes first."""
    return os.path.normcase(name).replace(os.sep, "\0")
