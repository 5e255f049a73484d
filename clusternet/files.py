"""Outputs that appear whole or not at all: a hidden sibling first, then a rename."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clusternet.errors import OutputError


def check_new(path: Path, *, overwrite: bool, hint: str = "--overwrite replaces it") -> None:
    """Raise OutputError if ``path`` exists already; an empty folder counts as absent."""
    if overwrite or not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    raise OutputError(f"{path}: exists already; choose another output ({hint}).")


def check_apart(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse outputs that are inputs, hold one, or lie in one; None among them is left out.

    Links are followed, and files and folders are compared by what they are on the disk, not by
    their names: another case, a hard link or a second mount point of one folder are all the same.

    Raises:
        OutputError: naming the first such output and its input.
    """
    read = [(path, _Place(path)) for path in inputs if path is not None]
    for output in outputs:
        if output is None:
            continue
        ours = _Place(output)
        for taken, theirs in read:
            relation = ours.relation(theirs)
            if relation:
                raise OutputError(
                    f"{output}: {relation} the input {taken}; choose another output, so that "
                    "neither holds the other."
                )


class _Place:
    """Where a path leads, and all folders above it, as they can be told apart on the disk."""

    def __init__(self, path: Path) -> None:
        real = Path(os.path.realpath(path))
        self._itself = _names(real)
        self._above = set().union(*map(_names, real.parents))

    def relation(self, other: _Place) -> str:
        """Say in words how this one lies to another one; nothing if they are apart."""
        if self._itself & other._itself:
            return "is"
        if self._itself & other._above:
            return "holds"
        if self._above & other._itself:
            return "lies inside"
        return ""


def _names(path: Path) -> set[object]:
    """Return what a path is known by: its name, and its number on the disk if it exists."""
    try:
        status = path.stat()
    except OSError:  # not there (yet)
        return {str(path)}
    return {str(path), (status.st_dev, status.st_ino)} if status.st_ino else {str(path)}


def make_parent(path: Path) -> None:
    """Create the folders above ``path``, as an OutputError if that is not allowed."""
    with readable_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def readable_os_errors(path: Path) -> Iterator[None]:
    """Turn an OSError (read-only, disk full, ...) into an OutputError that names ``path``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot be written ({reason}).") from error


@contextmanager
def new_file(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a hidden sibling of ``path`` to write to; it takes its name when all went well.

    Raises:
        OutputError: if ``path`` exists and ``overwrite`` is false, or writing fails.
    """
    check_new(path, overwrite=overwrite)
    make_parent(path)
    part = _hidden_sibling(path)
    try:
        with readable_os_errors(path):
            yield part
            part.replace(path)
    finally:
        with suppress(OSError):  # a read-only disk refuses to delete even what is not there
            part.unlink()


@contextmanager
def new_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty hidden sibling of ``path`` to fill; it takes its name when all went well.

    Raises:
        OutputError: if ``path`` exists and ``overwrite`` is false, or writing fails.
    """
    check_new(path, overwrite=overwrite)
    make_parent(path)
    part = _hidden_sibling(path)
    try:
        with readable_os_errors(path):
            part.mkdir()
            yield part
            if path.exists():
                old = _hidden_sibling(path, "old")
                path.rename(old)
                part.rename(path)
                shutil.rmtree(old)
            else:
                part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _hidden_sibling(path: Path, kind: str = "part") -> Path:
    # The process id keeps two commands that write the same place apart; the name stays last
    # because several libraries choose the format by its ending.
    return path.with_name(f".{kind}{os.getpid()}.{path.name}")


def check_writable(path: Path) -> None:
    """Raise OutputError if nothing can be created at ``path``: before work, not after it."""
    make_parent(path)
    probe = _hidden_sibling(path, "probe")
    with readable_os_errors(path):
        probe.mkdir()
        probe.rmdir()
