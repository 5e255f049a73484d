"""Search folders: linked folders are followed, each once, and what is passed over is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clusternet.errors import ClusterNetError

_NAMED = 3  # files that a message names


@dataclass
class Search:
    """What lies below a folder."""

    files: list[Path] = field(default_factory=list)
    """Sorted; hidden files are not among them."""
    hidden: list[Path] = field(default_factory=list)
    """Files and folders whose name starts with a dot; nothing below them was searched."""
    broken: list[Path] = field(default_factory=list)
    """Links that lead nowhere."""
    forbidden: list[Path] = field(default_factory=list)
    """Folders that may not be read."""


def search_folder(folder: Path) -> Search:
    """Find all files below a folder.

    Linked folders are followed. A folder that is reached twice, by links or in a loop, is searched
    once: by its own name if that lies below ``folder``.
    """
    found = Search()
    seen: set[tuple[int, int]] = set()
    own, linked = deque([folder]), deque[Path]()
    while own or linked:
        current = own.popleft() if own else linked.popleft()
        try:
            status = current.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            entries = sorted(current.iterdir())  # of two links to a folder the first counts
            # fails where a folder lets its names be read, but nothing else
            is_folder = {path: path.is_dir() for path in entries}
        except OSError as error:
            forbidden = isinstance(error, PermissionError)
            (found.forbidden if forbidden else found.broken).append(current)
            continue
        seen.add((status.st_dev, status.st_ino))
        for path in entries:
            if path.name.startswith("."):
                found.hidden.append(path)
            elif is_folder[path]:
                (linked if path.is_symlink() else own).append(path)
            else:
                (found.files if path.is_file() else found.broken).append(path)
    for paths in (found.files, found.hidden, found.broken, found.forbidden):
        paths.sort()
    return found


def check_readable(folder: Path, search: Search, kind: type[ClusterNetError]) -> None:
    """Refuse a folder that may not be read itself."""
    if search.forbidden == [folder]:
        raise kind(f"{folder}: cannot be read (no permission).")


def first_names(paths: Sequence[Path], folder: Path) -> str:
    """Return the first few of the paths, relative to ``folder``, for a message."""
    names = ", ".join(path.relative_to(folder).as_posix() for path in paths[:_NAMED])
    return names + (", ..." if len(paths) > _NAMED else "")


def endings(paths: Iterable[Path]) -> str:
    """Return the different endings of files, for a message."""
    found = sorted({path.suffix.lower() or "(none)" for path in paths})
    return ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")


def same_file_groups(paths: Iterable[Path]) -> list[list[Path]]:
    """Return paths in groups that are one file, by hard or symbolic links; its own name first."""
    groups: dict[tuple[int, int], list[Path]] = {}
    for path in paths:
        status = path.stat()
        groups.setdefault((status.st_dev, status.st_ino), []).append(path)
    return [sorted(group, key=lambda path: (path.is_symlink(), path)) for group in groups.values()]
