"""The guard of what is read: no output is an input, holds one, or lies in one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from clusternet.errors import OutputError
from clusternet.files.virtual import with_sources


def check_apart(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse outputs that are inputs, hold one, or lie in one; None among them is left out.

    Links are followed, and files and folders are compared by what they are on the disk, not by
    their names: another case, a hard link or a second mount point of one folder are all the same.
    What a virtual raster (``.vrt``) among the inputs is made of is an input, too.

    Raises:
        OutputError: naming the first such output and its input.
    """
    named = [path for path in inputs if path is not None]
    read = [(path, _Place(place)) for path, place in with_sources(named)]
    itself = {name: path for path, place in read for name in place.itself}
    above = {name: path for path, place in read for name in place.above}
    for output in outputs:
        if output is None:
            continue
        place = _Place(output)
        for names, theirs, relation in (
            (place.itself, itself, "is"),
            (place.itself, above, "holds"),
            (place.above, itself, "lies inside"),
        ):
            for name in names & theirs.keys():
                raise OutputError(
                    f"{output}: {relation} the input {theirs[name]}; choose another output, so "
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
    places = [(path, _Place(path)) for path in files if path is not None]
    others = [(path, _Place(path)) for path in folders if path is not None]
    for index, (path, place) in enumerate(places):
        for other, theirs in (*places[index + 1 :], *others, *places[:index]):
            if place.itself & (theirs.itself | theirs.above):
                raise OutputError(
                    f"{path}: is the name of another output ({other}), or of a folder above it; "
                    "choose another one."
                )


class _Place:
    """Where a path leads, and all folders above it, as they can be told apart on the disk."""

    def __init__(self, path: Path) -> None:
        real = Path(os.path.realpath(path))
        self.itself = _names(real)
        self.above = set().union(*map(_names, real.parents))


def _names(path: Path) -> set[object]:
    """Return what a path is known by: its name, and its number on the disk if it exists."""
    try:
        status = path.stat()
    except OSError:  # not there (yet)
        return {str(path)}
    return {str(path), (status.st_dev, status.st_ino)} if status.st_ino else {str(path)}
