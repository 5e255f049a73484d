"""Virtual rasters beside the files that they are made of: each pixel is to be read once."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from clusternet.files.virtual import read_sources


@dataclass
class _Use:
    """What a virtual raster shows of one of its files."""

    size: tuple[float, float] = (0, 0)
    """(width, height) of the file; zeros where the virtual raster does not say."""
    left: float = float("inf")
    top: float = float("inf")
    right: float = 0
    bottom: float = 0
    is_whole: bool = False

    def add(self, source: ElementTree.Element) -> None:
        """Add the rectangle of a source."""
        rectangle, properties = source.find("SrcRect"), source.find("SourceProperties")
        if rectangle is None or properties is None:
            self.is_whole = True
            return
        sides = ("xOff", "yOff", "xSize", "ySize")
        x, y, width, height = (float(rectangle.get(side, 0)) for side in sides)
        self.size = (
            float(properties.get("RasterXSize", 0)), float(properties.get("RasterYSize", 0)),
        )  # fmt: skip
        self.left, self.top = min(self.left, x), min(self.top, y)
        self.right, self.bottom = max(self.right, x + width), max(self.bottom, y + height)

    @property
    def shows_all(self) -> bool:
        """True if no row or column of the file is missing."""
        width, height = self.size
        inside = self.left < 1 and self.top < 1
        return self.is_whole or (inside and self.right > width - 1 and self.bottom > height - 1)


@dataclass
class _Virtual:
    path: Path
    uses: dict[str, _Use] = field(default_factory=lambda: defaultdict(_Use))
    """By the real path of the file."""


def repeated_pixels(paths: Sequence[Path]) -> Iterator[tuple[list[Path], str]]:
    """Yield files to leave out, so that no pixel is read twice, and why.

    Where a ``.vrt`` shows all of its files, they are left out: it says how they belong together.
    Where it shows only a part of one it is left out itself.
    """
    by_place = {os.path.realpath(path): path for path in paths}
    virtual = [found for path in paths if (found := _read_virtual(path)) is not None]
    known = {os.path.realpath(found.path): found for found in virtual}
    gone: set[str] = set()
    for found in virtual:
        place = os.path.realpath(found.path)
        files = _files(found, known)
        there = {p for p in files if p in by_place and p != place} - gone
        if place in gone or not there:
            continue
        parts = sorted(p for p in there if not files[p])
        if parts:
            gone.add(place)
            yield [found.path], f"it shows a part of {by_place[parts[0]].name}, which is read whole"
        else:
            gone |= there
            yield sorted(by_place[p] for p in there), f"{found.path.name} is made of them"


def _files(virtual: _Virtual, known: Mapping[str, _Virtual]) -> dict[str, bool]:
    """Return the files that a virtual raster is made of, and those that they are made of.

    True means that all of a file is shown.
    """
    found: dict[str, bool] = {}
    ends = [(place, use.shows_all) for place, use in virtual.uses.items()]
    while ends:
        place, whole = ends.pop()
        if place in found:
            continue
        found[place] = whole
        if place in known:
            uses = known[place].uses.items()
            ends += [(inner, whole and use.shows_all) for inner, use in uses]
    return found


def _read_virtual(path: Path) -> _Virtual | None:
    """Read which files a .vrt is made of; None for other files, and for what cannot be read."""
    sources = read_sources(path)
    if sources is None:
        return None
    found = _Virtual(path)
    for element, place in sources:
        found.uses[str(place)].add(element)
    return found
