"""Outputs that appear whole or not at all, and never in place of what others made.

An output is written as a hidden sibling first and then renamed. Nothing is replaced unless it
carries the mark of the same kind of output (`Kind`), and a folder that is replaced hands on
whatever in it is not ours.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clusternet.errors import ClusterNetError, OutputError
from clusternet.foreign_errors import is_foreign

logger = logging.getLogger(__name__)

KIND_TAG = "CLUSTERNET_KIND"
"""Metadata of maps and GeoPackages: what they are of, and that ClusterNet wrote them."""

_SHOWN = 3  # names of what was found, in a message
_NOBODYS = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""What file managers leave behind in every folder that is looked at."""


@dataclass(frozen=True)
class Kind:
    """A kind of file or folder that ClusterNet writes, and how to know one again."""

    name: str
    """As it stands in messages: ``run folder``."""
    is_one: Callable[[Path], bool]
    """Tells whether what lies at a path carries our mark; may fail where it cannot be read."""
    made: Callable[[Path], Callable[[str], bool]] | None = None
    """Of a folder: tells for each path in it, relative with ``/``, whether ClusterNet wrote it.
    None for a file."""

    @property
    def is_folder(self) -> bool:
        """True for a kind of folder, False for a kind of file."""
        return self.made is not None

    def owns(self, path: Path) -> bool:
        """Tell whether what lies at ``path`` is of this kind and ours."""
        try:
            return path.is_dir() == self.is_folder and self.is_one(path)
        except ClusterNetError:
            return False
        except Exception as error:  # whatever a library says of a file that is not ours
            if is_foreign(error):
                return False
            raise


def check_new(
    path: Path, *, kind: Kind, overwrite: bool, hint: str = "--overwrite replaces it"
) -> None:
    """Refuse a path that is taken, unless ``overwrite`` may replace what is there.

    An empty folder counts as absent where a folder is to be written.

    Raises:
        OutputError: saying what is there, and what to do.
    """
    with readable_os_errors(path):
        if not path.exists():
            return
        if kind.is_folder and path.is_dir() and not any(path.iterdir()):
            return
        if not kind.owns(path):
            raise OutputError(
                f"{path}: exists already and is no {kind.name} that ClusterNet wrote "
                f"({_describe(path)}); choose another output, or remove it by hand."
            )
    if not overwrite:
        raise OutputError(f"{path}: exists already; choose another output ({hint}).")


def _describe(path: Path) -> str:
    """Say what lies at a path that exists."""
    if not path.is_dir():
        return f"a file of {path.stat().st_size:,} bytes"
    names = sorted(entry.name for entry in path.iterdir())
    if not names:
        return "an empty folder"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"a folder with {', '.join(names[:_SHOWN])}{more}"


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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            taken = next(above for above in path.parents if os.path.lexists(above))
            raise OutputError(
                f"{path}: cannot be written (Not a directory); {taken} is a file."
            ) from None


@contextmanager
def readable_os_errors(path: Path) -> Iterator[None]:
    """Turn an OSError (read-only, disk full, ...) into an OutputError that names ``path``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot be written ({reason}).") from error


@contextmanager
def new_file(path: Path, *, kind: Kind | None = None, overwrite: bool = False) -> Iterator[Path]:
    """Yield a hidden sibling of ``path`` to write to; it takes its name when all went well.

    A symbolic link stays, and what it leads to is written.

    Args:
        path: the file.
        kind: what ``overwrite`` may replace. None stands for any file: only for the state that a
            folder of our own keeps.
        overwrite: replace an existing file.

    Raises:
        OutputError: if ``path`` exists and may not be replaced, or writing fails.
    """
    check_new(path, kind=kind or _ANY_FILE, overwrite=overwrite)
    place = Path(os.path.realpath(path))
    make_parent(place)
    part = _hidden_sibling(place)
    try:
        with readable_os_errors(path):
            yield part
            part.replace(place)
    finally:
        with suppress(OSError):  # a read-only disk refuses to delete even what is not there
            part.unlink()


@contextmanager
def new_folder(path: Path, *, kind: Kind, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty hidden sibling of ``path`` to fill; it takes its name when all went well.

    A symbolic link stays, and what it leads to is written. Files in a folder that is replaced
    that ClusterNet did not write are there again in the new one.

    Args:
        path: the folder.
        kind: what ``overwrite`` may replace.
        overwrite: replace an existing folder.

    Raises:
        OutputError: if ``path`` exists and may not be replaced, or writing fails.
    """
    check_new(path, kind=kind, overwrite=overwrite)
    place = Path(os.path.realpath(path))
    make_parent(place)
    part = _hidden_sibling(place)
    try:
        with readable_os_errors(path):
            part.mkdir()
            yield part
            check_new(path, kind=kind, overwrite=overwrite)  # what came there meanwhile
            _put_in_place(part, place, kind)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put_in_place(part: Path, place: Path, kind: Kind) -> None:
    if not place.exists():
        part.rename(place)
        return
    if kind.made is not None:
        _hand_on(place, part, kind.made(place))
    old = _hidden_sibling(place, "old")
    place.rename(old)
    part.rename(place)
    shutil.rmtree(old)


def _hand_on(old: Path, new: Path, is_made: Callable[[str], bool]) -> None:
    """Bring into a new folder what is in the old one and not ours: as links, so nothing moves.

    Raises:
        OutputError: if a name of it is needed for something of ours.
    """
    kept = [
        place
        for place in _files_below(old)
        if place.name not in _NOBODYS and not is_made(place.as_posix())
    ]
    for place in kept:
        try:
            (new / place).parent.mkdir(parents=True, exist_ok=True)
            _link(old / place, new / place)
        except (FileExistsError, NotADirectoryError):
            raise OutputError(
                f"{old / place}: is not of ClusterNet, and in the way of a new file; move it away."
            ) from None
    if kept:
        shown = ", ".join(place.as_posix() for place in kept[:_SHOWN])
        more = f" and {len(kept) - _SHOWN} more" if len(kept) > _SHOWN else ""
        logger.warning("%s: kept %s%s, which ClusterNet did not write.", old, shown, more)


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, relative to it; links as they are, empty folders too."""

    def fail(error: OSError) -> None:
        raise error

    for above, folders, files in os.walk(folder, onerror=fail):
        here = Path(above)
        linked = [name for name in folders if (here / name).is_symlink()]
        if not folders and not files and here != folder:
            yield here.relative_to(folder)
        for name in sorted([*files, *linked]):
            yield (here / name).relative_to(folder)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the disk knows no such thing."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)


def _hidden_sibling(path: Path, kind: str = "part") -> Path:
    # The process id keeps two commands that write the same place apart; the name stays last
    # because several libraries choose the format by its ending.
    return path.with_name(f".{kind}{os.getpid()}.{path.name}")


def check_writable(path: Path) -> None:
    """Raise OutputError if nothing can be created at ``path``: before work, not after it."""
    _probe(path, Path(os.path.realpath(path)))


def check_open_folder(path: Path) -> None:
    """Raise OutputError if no file can be added to a folder, which need not exist."""
    place = Path(os.path.realpath(path))
    with readable_os_errors(path):
        there = place.exists()
    _probe(path, place / "probe" if there else place)


def _probe(path: Path, place: Path) -> None:
    make_parent(place)
    probe = _hidden_sibling(place, "probe")
    with readable_os_errors(path):
        probe.mkdir()
        probe.rmdir()


_ANY_FILE = Kind("file", lambda path: True)
