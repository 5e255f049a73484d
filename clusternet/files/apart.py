"""Check that outputs and inputs are apart: no output is an input, holds one, or lies in one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from clusternet.errors import OutputError
from clusternet.files.virtual import with_sources


def check_apart(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse outputs that are inputs, hold one, or lie in one; None among them is left out.

    Links are followed. Files and folders are compared by device and inode, not only by name, so
    a name in another case, a hard link or a second mount point is recognised. The sources of a
    virtual raster (``.vrt``) among the inputs are inputs, too.

    Raises:
        OutputError: naming the first such output and its input.
    """
    named = [path for path in inputs if path is not None]
    read = [(path, _Location(source)) for path, source in with_sources(named)]
    itself = {identity: path for path, source in read for identity in source.itself}
    above = {identity: path for path, source in read for identity in source.above}
    for output in outputs:
        if output is None:
            continue
        location = _Location(output)
        for identities, known, relation in (
            (location.itself, itself, "is"),
            (location.itself, above, "holds"),
            (location.above, itself, "lies inside"),
        ):
            for identity in identities & known.keys():
                raise OutputError(
                    f"{output}: {relation} the input {known[identity]}; choose another output, so "
                    "that neither holds the other."
                )


def check_distinct(files: Iterable[Path | None], folders: Iterable[Path | None] = ()) -> None:
    """Refuse a file that has the name of another output, or of a folder above one.

    Args:
        files: outputs that are files; None among them is left out.
        folders: outputs that are folders; files may lie in them.

    Raises:
        OutputError: naming both.
    """
    located = [(path, _Location(path)) for path in files if path is not None]
    others = [(path, _Location(path)) for path in folders if path is not None]
    for index, (path, location) in enumerate(located):
        for other, of_other in (*located[index + 1 :], *others, *located[:index]):
            if location.itself & (of_other.itself | of_other.above):
                raise OutputError(
                    f"{path}: is the name of another output ({other}), or of a folder above it; "
                    "choose another one."
                )


class _Location:
    """The identities on disk of what a path leads to, and of all folders above it."""

    def __init__(self, path: Path) -> None:
        real = Path(os.path.realpath(path))
        self.itself = _identities(real)
        self.above = set().union(*map(_identities, real.parents))


def _identities(path: Path) -> set[object]:
    """Return what identifies a path: its name, and its device and inode if it exists."""
    try:
        status = path.stat()
    except OSError:  # it does not exist yet
        return {str(path)}
    # The inode is 0 where the file system has none; then only the name can be compared.
    return {str(path), (status.st_dev, status.st_ino)} if status.st_ino else {str(path)}
