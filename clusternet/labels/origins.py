"""Which label files a class map was made from, as stated in its tags."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

LABELS_TAG = "CLUSTERNET_LABELS"
"""Metadata item of class maps: the label files that they were made from, as JSON."""
_MOST = 50  # files that a map names
_PART = 1 << 20  # bytes at the start and the end of a file that its digest is made from


@dataclass(frozen=True)
class Origin:
    """A label file that a class map was made from."""

    path: Path
    """Where it lay, seen from the folder of the map."""
    digest: str
    """Of its size, its start and its end."""

    def found(self, map_path: Path) -> Path | None:
        """Return where the file lies now; None if it is not there or has been changed."""
        path = Path(os.path.normpath(map_path.parent.resolve() / self.path))
        return path if path.is_file() and digest(path) == self.digest else None


def origin_tags(labels: Iterable[Path], map_path: Path) -> dict[str, str]:
    """Return the tags that state which label files a class map is made from.

    Args:
        labels: the files. A map names the first fifty of them, in the order of their paths.
        map_path: the class map.
    """
    return tags_of(origins_of(labels), map_path)


def origins_of(labels: Iterable[Path]) -> list[Origin]:
    """Return label files as they are now, with absolute paths; the first fifty of them."""
    return [Origin(path.resolve(), digest(path)) for path in sorted(set(labels))[:_MOST]]


def tags_of(origins: Iterable[Origin], map_path: Path) -> dict[str, str]:
    """Return the tags that state label files with absolute paths, see `origin_tags`."""
    stated = []
    for origin in origins:
        try:
            place = os.path.relpath(origin.path, map_path.parent.resolve())
        except ValueError:  # on another drive of Windows
            place = str(origin.path)
        stated.append({"path": Path(place).as_posix(), "digest": origin.digest})
    return {LABELS_TAG: json.dumps(stated)} if stated else {}


def read_origins(tags: Mapping[str, str]) -> list[Origin]:
    """Return the label files that the tags of a class map state; none if they state none."""
    try:
        stated = json.loads(tags.get(LABELS_TAG, "[]"))
        return [Origin(Path(each["path"]), str(each["digest"])) for each in stated]
    except (ValueError, TypeError, KeyError):
        return []  # tags may be edited by others


def digest(path: Path) -> str:
    """Return a digest of the size, the start and the end of a file; large rasters are not read."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        content = hashlib.sha256(str(size).encode() + stream.read(_PART))
        if size > _PART:
            stream.seek(max(size - _PART, _PART))
            content.update(stream.read())
    return content.hexdigest()[:16]
