"""Outputs that appear whole or not at all, and never in place of what others made.

An output is written as a hidden sibling first and then renamed. Nothing is replaced unless it
carries the mark of the same kind of output (`Kind`), and a folder that is replaced hands on
whatever in it is not ours.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clusternet.errors import ClusterNetError, OutputError
from clusternet.files.apart import check_apart as check_apart
from clusternet.files.apart import check_distinct as check_distinct
from clusternet.files.placing import (
    fill,
    fills_in_place,
    hand_on,
    hidden_sibling,
    is_mount,
    own_entries,
    put_folder,
    sync_file,
    sync_folder,
    sync_tree,
    without_hiding,
)
from clusternet.foreign_errors import is_foreign, reason

KIND_TAG = "CLUSTERNET_KIND"
"""Metadata of maps and GeoPackages: what they are of, and that ClusterNet wrote them."""

_HARDLY_ANY = 2**18  # bytes that are free on a disk that is full
_SHOWN = 3  # names of what was found, in a message


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
        if kind.is_folder and path.is_dir() and not any(own_entries(path)):
            return
        _check_replaceable(path, kind)
        if not kind.owns(path):
            raise OutputError(
                f"{path}: exists already and is no {kind.name} that ClusterNet wrote "
                f"({_describe(path)}); choose another output, or remove it by hand."
            )
    if not overwrite:
        raise OutputError(f"{path}: exists already; choose another output ({hint}).")


def _check_replaceable(path: Path, kind: Kind) -> None:
    """Refuse what can be added to, but not replaced as a whole."""
    place = Path(os.path.realpath(path))
    if kind.is_folder and fills_in_place(place):
        raise OutputError(
            f"{path}: is mounted, or the folder above it cannot be written, so it cannot be "
            f"replaced as a whole; empty it by hand, or name a folder inside it."
        )
    if not kind.is_folder and place.is_file() and is_mount(place):
        raise OutputError(
            f"{path}: is mounted as a file, which cannot be replaced; mount its folder instead."
        )


def _describe(path: Path) -> str:
    """Say what lies at a path that exists."""
    if not path.is_dir():
        return f"a file of {path.stat().st_size:,} bytes"
    names = sorted(entry.name for entry in own_entries(path))
    if not names:
        return "an empty folder"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"a folder with {', '.join(names[:_SHOWN])}{more}"


def make_parent(path: Path, shown: Path | None = None) -> None:
    """Create the folders above ``path``, as an OutputError if that is not allowed.

    Args:
        path: the file or folder to come.
        shown: what messages name instead.
    """
    shown = shown or path
    with readable_os_errors(shown):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            taken = next(above for above in path.parents if os.path.lexists(above))
            raise OutputError(
                f"{shown}: cannot be written (Not a directory); {taken} is a file."
            ) from None


@contextmanager
def readable_os_errors(path: Path) -> Iterator[None]:
    """Turn an OSError (read-only, disk full, ...) into an OutputError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise write_failure(path, reason(error)) from error


def write_failure(path: Path, why: str) -> OutputError:
    """Return the error that says that ``path`` cannot be written.

    Libraries say of a full disk what they please, and call what they write by its hidden name.
    """
    if _is_full(path):
        why = os.strerror(errno.ENOSPC)
    return OutputError(without_hiding(f"{path}: cannot be written ({why})."))


def _is_full(path: Path) -> bool:
    """Tell whether the disk that ``path`` is to lie on has hardly any room."""
    there = next((above for above in path.absolute().parents if above.is_dir()), None)
    with suppress(OSError):
        return there is not None and shutil.disk_usage(there).free < _HARDLY_ANY
    return False


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
    make_parent(place, path)
    part = hidden_sibling(place)
    try:
        with readable_os_errors(path):
            yield part
            sync_file(part)
            part.replace(place)
            sync_folder(place.parent)
    finally:
        with suppress(OSError):  # a read-only disk refuses to delete even what is not there
            part.unlink()


class NewFolder:
    """A folder that is written beside its place, and takes it when it is complete.

    A symbolic link stays, and what it leads to is written. Files in a folder that is replaced
    that ClusterNet did not write are there again in the new one. A folder that something is
    mounted at is filled.
    """

    def __init__(self, path: Path, *, kind: Kind, overwrite: bool = False) -> None:
        """Make an empty hidden folder, ``part``.

        Args:
            path: the folder.
            kind: what ``overwrite`` may replace.
            overwrite: replace an existing folder.

        Raises:
            OutputError: if ``path`` exists and may not be replaced, or writing fails.
        """
        self.path, self._kind, self._overwrite = path, kind, overwrite
        check_new(path, kind=kind, overwrite=overwrite)
        place = Path(os.path.realpath(path))
        make_parent(place, path)
        self._fills = fills_in_place(place)
        self._place = place
        self.part = hidden_sibling(place / place.name if self._fills else place)
        with readable_os_errors(path):
            self.part.mkdir()

    def prepare(self) -> None:
        """Put on the disk what was written, with all that is handed on to it.

        Raises:
            OutputError: if something else came to its place meanwhile, or it cannot be written.
        """
        with readable_os_errors(self.path):
            check_new(self.path, kind=self._kind, overwrite=self._overwrite)
            if self._place.is_dir() and self._kind.made is not None and not self._fills:
                hand_on(self._place, self.part, self._kind.made(self._place))
            sync_tree(self.part)

    def put(self) -> None:
        """Give it its name, in place of what it replaces, once it is prepared.

        Raises:
            OutputError: if that cannot be done.
        """
        with readable_os_errors(self.path):
            if self._fills:
                fill(self.part, self._place)
            else:
                put_folder(self.part, self._place)

    def discard(self) -> None:
        """Remove what was written, if it was not put in place."""
        shutil.rmtree(self.part, ignore_errors=True)


@contextmanager
def new_folder(path: Path, *, kind: Kind, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty hidden folder to fill; see `NewFolder`, which is put when all went well.

    Raises:
        OutputError: if ``path`` exists and may not be replaced, or writing fails.
    """
    with new_folders([path], kind=kind, overwrite=overwrite) as parts:
        yield parts[0]


@contextmanager
def new_folders(
    paths: Sequence[Path], *, kind: Kind, overwrite: bool = False
) -> Iterator[list[Path]]:
    """Yield an empty hidden folder for each path; they are put one right after the other.

    Raises:
        OutputError: if one exists and may not be replaced, or writing fails.
    """
    folders: list[NewFolder] = []
    try:
        for path in paths:
            folders.append(NewFolder(path, kind=kind, overwrite=overwrite))
        with readable_os_errors(paths[0]):
            yield [folder.part for folder in folders]
        for folder in folders:
            folder.prepare()
        for folder in folders:
            folder.put()
    finally:
        for folder in folders:
            folder.discard()


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
    made = [folder for folder in place.parents if not folder.exists()]
    make_parent(place, path)
    probe = hidden_sibling(place / place.name if fills_in_place(place) else place, "probe")
    try:
        with readable_os_errors(path):
            probe.mkdir()
            with suppress(FileNotFoundError):  # whoever has the lock clears up
                probe.rmdir()
    finally:  # a command that is refused later leaves no empty folders behind
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


_ANY_FILE = Kind("file", lambda path: True)
