"""Search folders: linked folders are followed once, and files that are left out are listed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clusternet.errors import ClusterNetError
from clusternet.locations import SourcePath

_NAMED = 3  # files that a message names


@dataclass
class Search:
    """The files below a folder, and what was left out."""

    files: list[Path] = field(default_factory=list)
    """Sorted; hidden files are not among them."""
    hidden: list[Path] = field(default_factory=list)
    """Files and folders whose name starts with a dot. Hidden folders are not searched."""
    broken: list[Path] = field(default_factory=list)
    """Links whose target does not exist, and entries that are neither file nor folder."""
    forbidden: list[Path] = field(default_factory=list)
    """Folders that this user has no permission to read."""

    def sort(self) -> None:
        """Sort what was found."""
        for paths in (self.files, self.hidden, self.broken, self.forbidden):
            paths.sort()


def search_folder(folder: Path) -> Search:
    """Find all files below a folder.

    Linked folders are followed. A folder that is reached twice, by links or in a loop, is searched
    once. Its files are listed under its own name if that lies below ``folder``.
    """
    search = Search()
    search.files.extend(walk_files(folder, search))
    search.sort()
    return search


def walk_files(folder: Path, search: Search) -> Iterator[Path]:
    """Yield the files below a folder as `search_folder` finds them, but in no order.

    Args:
        folder: the folder.
        search: gets what is no file, and is to be sorted by the caller at the end.
    """
    seen: set[tuple[int, int]] = set()
    # Linked folders wait until all others are searched, which lists those under their own names.
    own, linked = deque([folder]), deque[Path]()
    while own or linked:
        current = own.popleft() if own else linked.popleft()
        try:
            status = current.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            entries = sorted(current.iterdir())  # so the first of two links to a folder counts
            # is_dir fails in a folder with the permission to read (names) but not to search.
            is_folder = {path: path.is_dir() for path in entries}
        except OSError as error:
            forbidden = isinstance(error, PermissionError)
            (search.forbidden if forbidden else search.broken).append(current)
            continue
        seen.add((status.st_dev, status.st_ino))
        for path in entries:
            if path.name.startswith("."):
                search.hidden.append(path)
            elif is_folder[path]:
                (linked if path.is_symlink() else own).append(path)
            elif path.is_file():
                yield path
            else:
                search.broken.append(path)


def check_readable(folder: Path, search: Search, kind: type[ClusterNetError]) -> None:
    """Raise an error of this kind if the user has no permission to read the folder itself."""
    if search.forbidden == [folder]:
        raise kind(f"{folder}: cannot be read (no permission).")


def first_names(paths: Sequence[Path], folder: Path) -> str:
    """Return the first few of the paths, relative to ``folder``, for a message."""
    names = ", ".join(path.relative_to(folder).as_posix() for path in paths[:_NAMED])
    return names + (", ..." if len(paths) > _NAMED else "")


def endings(paths: Iterable[Path]) -> str:
    """Return the different endings of files, for a message."""
    suffixes = sorted({path.suffix.lower() or "(none)" for path in paths})
    return ", ".join(suffixes[:8]) + (", ..." if len(suffixes) > 8 else "")


def same_file_groups(paths: Iterable[Path]) -> list[list[Path]]:
    """Group paths that lead to the same file by hard or symbolic links; links come last."""
    groups: dict[tuple[int, int], list[Path]] = {}
    for path in paths:
        if isinstance(path, SourcePath):  # no file of this machine
            groups[len(groups), -1] = [path]
            continue
        status = path.stat()
        groups.setdefault((status.st_dev, status.st_ino), []).append(path)
    return [sorted(group, key=lambda path: (path.is_symlink(), path)) for group in groups.values()]
