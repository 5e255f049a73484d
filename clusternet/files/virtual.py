"""The source files of a virtual raster (``.vrt``), read without opening it as a raster."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from clusternet.locations import SourcePath

_PAGE = re.compile(r"^GTIFF_DIR:(off:)?\d+:")  # before the name of a file with several pages
_MOST_BYTES = 2**27  # of a .vrt; mosaics of 100,000 tiles have less


def read_sources(path: Path) -> list[tuple[ElementTree.Element, Path]] | None:
    """Return the elements of a ``.vrt`` that name a file, and the real path of each file.

    None for other files, and for files that cannot be read, which opening them will report.
    """
    try:
        if path.suffix.lower() != ".vrt" or path.stat().st_size > _MOST_BYTES:
            return None
        # a file of GDAL; the standard library's parser resolves no external entities
        root = ElementTree.parse(path).getroot()  # noqa: S314
    except (ElementTree.ParseError, LookupError, OSError, ValueError):
        return None
    sources = []
    for parent in root.iter():
        for name in parent.findall("SourceFilename") + parent.findall("SourceDataset"):
            # an <Overview> names a smaller copy of a band that the other elements describe
            if name.text and parent.tag != "Overview":
                source = Path(_PAGE.sub("", name.text.strip()))
                if name.get("relativeToVRT", "0") == "1":
                    source = path.parent / source
                sources.append((parent, Path(os.path.realpath(source))))
    return sources


def with_sources(paths: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield each path with itself, and each virtual raster with all of its source files.

    A source may be a virtual raster in turn.

    Yields:
        (one of ``paths``, a file that is read for it).
    """
    for path in paths:
        yield path, path
        if isinstance(path, SourcePath):
            yield from ((path, file) for file in path.files)
            continue
        left = [*_virtual_rasters(path)] if path.is_dir() else [path]
        seen = set(left)
        while left:
            inner = {source for _, source in read_sources(left.pop()) or ()} - seen
            seen |= inner
            left += inner
            yield from ((path, source) for source in inner)


def _virtual_rasters(folder: Path) -> Iterator[Path]:
    """Yield the ``.vrt`` files below a folder; linked folders are followed, each once.

    Files are told by their names alone, since a folder may hold a million patches.
    """
    seen: set[tuple[int, int]] = set()
    for current, inner, names in os.walk(folder, followlinks=True):
        try:
            status = Path(current).stat()
        except OSError:  # gone meanwhile, or without permission: whoever reads it will say so
            continue
        if (status.st_dev, status.st_ino) in seen:
            inner.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        yield from (Path(current, name) for name in names if name.lower().endswith(".vrt"))
