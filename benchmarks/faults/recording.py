"""Record what a kill at any moment would leave: the tree before each change of a folder."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.trees import FOLDER, Store, Tree, is_hidden

_ONE_PATH = {"os.mkdir", "os.rmdir", "os.remove", "os.truncate", "os.chmod", "os.utime"}
_TWO_PATHS = {"os.rename", "os.link", "os.symlink"}
_CALLS = {"renameat2", "renamex_np", "syncfs"}  # looked up right before they are called
_NAMING = {"os.rename", "os.link", "os.remove", "os.rmdir", "os.symlink", "ctypes.dlsym"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_FILES = (io.FileIO, io.BufferedWriter, io.BufferedRandom, io.TextIOWrapper)
_APPENDED = "tensorboard/"  # logs that grow line by line, which nothing else is read from


@dataclass
class Recording:
    """The points at which a command might have been killed, in their order."""

    points: list[Tree] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    """What was about to be done at each point."""

    def in_place(self) -> list[str]:
        """Name files that were written under their final name instead of being renamed to it."""
        found = []
        for before, after, event in zip(self.points, self.points[1:], self.events, strict=False):
            for path, content in after.items():
                changed = content != FOLDER and before.get(path) != content
                is_final = not is_hidden(path) and _APPENDED not in path
                if changed and is_final and event.split()[0] not in _NAMING:
                    found.append(f"{path} ({event})")
        return found

    def distinct(self, store: Store) -> list[Tree]:
        """Return all trees that differ, with those whose last write was cut off half way."""
        trees = {_key(tree): tree for tree in self.points}
        for before, after in zip(self.points, self.points[1:], strict=False):
            for path, kept in after.items():
                if kept == FOLDER or kept.startswith("-> ") or before.get(path) == kept:
                    continue
                if is_hidden(path) or _APPENDED in path:
                    content = store.content(kept)
                    torn = after | {path: store.keep(content[: len(content) // 2])}
                    trees[_key(torn)] = torn
        return list(trees.values())


def _key(tree: Tree) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(tree.items()))


class Recorder:
    """Watches one folder by Python's hooks, which are called before each such call.

    The audit hook reports files that are created, renamed and removed; the profiler reports each
    write to an open file. Writes by libraries in C are noticed at the next point.
    """

    def __init__(self, on_change: Callable[[str], None] | None = None) -> None:
        """Add the hook, which stays for the life of the process and does nothing by itself.

        Args:
            on_change: is called instead of keeping the tree, and may raise.
        """
        self._on_change = on_change
        self._root: str | None = None
        self._store: Store | None = None
        self._recording = Recording()
        self._lock = threading.RLock()
        self._reader = 0  # the thread that reads the tree, whose calls are not of the command
        sys.addaudithook(self._hear)

    @contextmanager
    def watching(self, root: Path, store: Store | None) -> Iterator[Recording]:
        """Record what happens in a folder within the block."""
        self._recording = Recording()
        self._root, self._store = os.path.realpath(root), store
        threading.setprofile(self._hear_write)
        sys.setprofile(self._hear_write)
        try:
            yield self._recording
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
            if self._on_change is None:
                self._take("end")
            self._root = None

    def _hear_write(self, _frame: object, event: str, function: Any) -> None:
        if event != "c_call" or function.__name__ not in ("write", "writelines", "truncate"):
            return
        stream = function.__self__
        if isinstance(stream, _FILES) and self._reader != threading.get_ident():
            path = _absolute(getattr(stream, "name", 0), -1)
            if path is not None and self._root is not None and self._is_inside(path):
                self._take(f"write {path}")

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._root is None or self._reader == threading.get_ident():
            return
        if event == "ctypes.dlsym":
            if arguments[-1] in _CALLS:
                self._take(f"{event} {arguments[-1]}")
            return
        paths = _paths(event, arguments)
        if any(path is not None and self._is_inside(path) for path in paths):
            self._take(f"{event} {paths[0]}")

    def _is_inside(self, path: str) -> bool:
        return path == self._root or path.startswith(f"{self._root}{os.sep}")

    def _take(self, event: str) -> None:
        if self._on_change is not None:
            self._on_change(event)
            return
        with self._lock:
            if self._root is None or self._store is None:
                return
            self._reader = threading.get_ident()
            try:
                tree = self._store.read(Path(self._root))
                self._recording.points.append(tree)
                self._recording.events.append(event)
            finally:
                self._reader = 0


def _paths(event: str, arguments: tuple[Any, ...]) -> list[str | None]:
    """Return the paths that a call is about to change."""
    if event == "open":
        path, mode, flags = arguments
        writes = (flags or 0) & _WRITES or any(letter in (mode or "") for letter in "wax+")
        return [_absolute(path, -1)] if writes else []
    if event in _ONE_PATH:
        return [_absolute(arguments[0], arguments[-1])]
    if event in _TWO_PATHS:
        folders = arguments[2:] if len(arguments) == 4 else (-1, -1)
        return [_absolute(path, at) for path, at in zip(arguments[:2], folders, strict=True)]
    return []


def _absolute(path: Any, folder: Any) -> str | None:
    """Return a path in full; None if it is none but an open file."""
    if isinstance(path, int):
        return None
    text = os.fsdecode(path)
    if not Path(text).is_absolute() and isinstance(folder, int) and folder >= 0:
        try:
            above = str(Path(f"/proc/self/fd/{folder}").readlink())
        except OSError:
            return None
        return os.path.join(above, text)  # noqa: PTH118
    return os.path.abspath(text)  # noqa: PTH100
