"""Write outputs that appear complete or not at all, and never replace files of others.

An output is written under a hidden name beside its own and then renamed. A file or folder is
replaced only if it carries the mark of the same kind of output (`Kind`). When a folder is
replaced, the files in it that ClusterNet did not write are kept.
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
"""Metadata item of maps and GeoPackages: their kind, which shows that ClusterNet wrote them."""

_FULL_BELOW = 2**18  # a disk with fewer free bytes counts as full: the failed write took some
_SHOWN = 3  # entries of a folder that a message names


@dataclass(frozen=True)
class Kind:
    """A kind of file or folder that ClusterNet writes, and how to recognise one."""

    name: str
    """Its name in messages, such as ``run folder``."""
    is_one: Callable[[Path], bool]
    """Tells whether the file or folder at a path carries our mark; may raise if it is another."""
    made: Callable[[Path], Callable[[str], bool]] | None = None
    """Of a folder: tells for each path in it, relative with ``/``, whether ClusterNet wrote it.
    None for a file."""

    @property
    def is_folder(self) -> bool:
        """True for a kind of folder, False for a kind of file."""
        return self.made is not None

    def owns(self, path: Path) -> bool:
        """Tell whether the file or folder at ``path`` is of this kind and was written by us."""
        try:
            return path.is_dir() == self.is_folder and self.is_one(path)
        except ClusterNetError:
            return False
        except Exception as error:  # libraries raise many errors for files of another form
            if is_foreign(error):
                return False
            raise


def check_new(
    path: Path, *, kind: Kind, overwrite: bool, hint: str = "--overwrite replaces it"
) -> None:
    """Refuse a path that exists, unless ``overwrite`` is set and it may be replaced.

    An empty folder counts as absent where a folder is to be written.

    Raises:
        OutputError: saying what exists there, and what to do.
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
    """Refuse a folder or file that can be written to, but not replaced as a whole."""
    real_path = Path(os.path.realpath(path))
    if kind.is_folder and fills_in_place(real_path):
        raise OutputError(
            f"{path}: is mounted, or the folder above it cannot be written, so it cannot be "
            f"replaced as a whole; empty it by hand, or name a folder inside it."
        )
    if not kind.is_folder and real_path.is_file() and is_mount(real_path):
        raise OutputError(
            f"{path}: is mounted as a file, which cannot be replaced; mount its folder instead."
        )


def _describe(path: Path) -> str:
    """Describe the file or folder at a path that exists, for messages."""
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
        shown: the path that messages name instead.
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

    Libraries report a full disk in many ways, and they name the hidden file. The error says that
    the disk is full, and names the output.
    """
    if _is_full(path):
        why = os.strerror(errno.ENOSPC)
    return OutputError(without_hiding(f"{path}: cannot be written ({why})."))


def _is_full(path: Path) -> bool:
    """Tell whether the disk of ``path`` has hardly any free space."""
    folder = next((above for above in path.absolute().parents if above.is_dir()), None)
    with suppress(OSError):
        return folder is not None and shutil.disk_usage(folder).free < _FULL_BELOW
    return False


@contextmanager
def new_file(path: Path, *, kind: Kind | None = None, overwrite: bool = False) -> Iterator[Path]:
    """Yield a hidden path beside ``path`` to write to; it is renamed to ``path`` on success.

    A symbolic link stays, and its target is written.

    Args:
        path: the file.
        kind: what ``overwrite`` may replace. None allows any file, which is only right for files
            inside a folder that ClusterNet owns.
        overwrite: replace an existing file.

    Raises:
        OutputError: if ``path`` exists and may not be replaced, or writing fails.
    """
    check_new(path, kind=kind or _ANY_FILE, overwrite=overwrite)
    real_path = Path(os.path.realpath(path))
    make_parent(real_path, path)
    hidden_path = hidden_sibling(real_path)
    try:
        with readable_os_errors(path):
            yield hidden_path
            sync_file(hidden_path)
            hidden_path.replace(real_path)
            sync_folder(real_path.parent)
    finally:
        with suppress(OSError):  # a read-only disk refuses to delete even a file that is missing
            hidden_path.unlink()


class NewFolder:
    """A folder that is written under a hidden name and renamed when it is complete.

    A symbolic link stays, and its target is written. If a folder is replaced, the files in it that
    ClusterNet did not write are kept. A mount point cannot be replaced; it is filled instead.
    """

    def __init__(self, path: Path, *, kind: Kind, overwrite: bool = False) -> None:
        """Make an empty hidden folder, ``hidden_path``.

        Args:
            path: the folder.
            kind: what ``overwrite`` may replace.
            overwrite: replace an existing folder.

        Raises:
            OutputError: if ``path`` exists and may not be replaced, or writing fails.
        """
        self.path, self._kind, self._overwrite = path, kind, overwrite
        check_new(path, kind=kind, overwrite=overwrite)
        real_path = Path(os.path.realpath(path))
        make_parent(real_path, path)
        self._fills = fills_in_place(real_path)
        self._real_path = real_path
        inside = real_path / real_path.name
        self.hidden_path = hidden_sibling(inside if self._fills else real_path)
        with readable_os_errors(path):
            self.hidden_path.mkdir()

    def prepare(self) -> None:
        """Add the files of others that are kept, and sync the hidden folder to the disk.

        Raises:
            OutputError: if another program made ``path`` meanwhile, or writing fails.
        """
        with readable_os_errors(self.path):
            check_new(self.path, kind=self._kind, overwrite=self._overwrite)
            if self._real_path.is_dir() and self._kind.made is not None and not self._fills:
                hand_on(self._real_path, self.hidden_path, self._kind.made(self._real_path))
            sync_tree(self.hidden_path)

    def put(self) -> None:
        """Rename the prepared folder to ``path``, which replaces a folder of that name.

        Raises:
            OutputError: if that fails.
        """
        with readable_os_errors(self.path):
            if self._fills:
                fill(self.hidden_path, self._real_path)
            else:
                put_folder(self.hidden_path, self._real_path)

    def discard(self) -> None:
        """Remove the hidden folder, unless `put` has renamed it."""
        shutil.rmtree(self.hidden_path, ignore_errors=True)


@contextmanager
def new_folder(path: Path, *, kind: Kind, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty hidden folder to fill; it is renamed to ``path`` on success, see `NewFolder`.

    Raises:
        OutputError: if ``path`` exists and may not be replaced, or writing fails.
    """
    with new_folders([path], kind=kind, overwrite=overwrite) as hidden_paths:
        yield hidden_paths[0]


@contextmanager
def new_folders(
    paths: Sequence[Path], *, kind: Kind, overwrite: bool = False
) -> Iterator[list[Path]]:
    """Yield an empty hidden folder for each path; on success all are renamed, one by one.

    Raises:
        OutputError: if one exists and may not be replaced, or writing fails.
    """
    folders: list[NewFolder] = []
    try:
        for path in paths:
            folders.append(NewFolder(path, kind=kind, overwrite=overwrite))
        with readable_os_errors(paths[0]):
            yield [folder.hidden_path for folder in folders]
        # First all are prepared, which may fail, then all renamed: all of them appear, or none.
        for folder in folders:
            folder.prepare()
        for folder in folders:
            folder.put()
    finally:
        for folder in folders:
            folder.discard()


def check_writable(path: Path) -> None:
    """Raise OutputError if nothing can be created at ``path``. Called before the work starts."""
    _probe(path, Path(os.path.realpath(path)))


def check_open_folder(path: Path) -> None:
    """Raise OutputError if no file can be added to a folder, which need not exist."""
    real_path = Path(os.path.realpath(path))
    with readable_os_errors(path):
        exists = real_path.exists()
    _probe(path, real_path / "probe" if exists else real_path)


def _probe(path: Path, real_path: Path) -> None:
    """Make and remove a hidden folder: permissions alone do not tell whether that is possible."""
    made = [folder for folder in real_path.parents if not folder.exists()]
    make_parent(real_path, path)
    inside = real_path / real_path.name
    probe = hidden_sibling(inside if fills_in_place(real_path) else real_path, "probe")
    try:
        with readable_os_errors(path):
            probe.mkdir()
            with suppress(FileNotFoundError):  # another process may tidy it away first
                probe.rmdir()
    finally:  # a command that is refused later leaves no empty folders behind
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


_ANY_FILE = Kind("file", lambda path: True)
