"""Virtual rasters beside the files that they are made of: each pixel is to be read once."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

_PAGE = re.compile(r"^GTIFF_DIR:(off:)?\d+:")  # before the name of a file with several pages
_MOST_BYTES = 2**27  # of a .vrt; mosaics of 100,000 tiles have less


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
    # one that is made of others says more than they
    virtual.sort(key=lambda v: len(_all_files(v, virtual)), reverse=True)
    gone: set[str] = set()
    for found in virtual:
        place = os.path.realpath(found.path)
        there = {p: use for p, use in found.uses.items() if p in by_place and p not in gone}
        if place in gone or not there:
            continue
        if all(use.shows_all for use in there.values()):
            repeated = [p for p in _all_files(found, virtual) if p in by_place and p != place]
            gone.update(repeated)
            yield sorted(by_place[p] for p in repeated), f"{found.path.name} is made of them"
        else:
            gone.add(place)
            whole = next(p for p, use in there.items() if not use.shows_all)
            yield [found.path], f"it shows a part of {by_place[whole].name}, which is read whole"


def _all_files(virtual: _Virtual, others: Sequence[_Virtual]) -> set[str]:
    """Return the files that a virtual raster is made of, and those that they are made of."""
    known = {os.path.realpath(other.path): other for other in others}
    found: set[str] = set()
    open_ends = list(virtual.uses)
    while open_ends:
        place = open_ends.pop()
        if place not in found:
            found.add(place)
            open_ends += known[place].uses if place in known else []
    return found


def _read_virtual(path: Path) -> _Virtual | None:
    """Read which files a .vrt is made of; None for other files, and for what cannot be read."""
    if path.suffix.lower() != ".vrt" or path.stat().st_size > _MOST_BYTES:
        return None
    try:
        # a file of GDAL; the standard library's parser resolves no external entities
        root = ElementTree.parse(path).getroot()  # noqa: S314
    except (ElementTree.ParseError, OSError, UnicodeError, ValueError):
        return None  # opening it will say so
    found = _Virtual(path)
    for parent in root.iter():
        for name in parent.findall("SourceFilename") + parent.findall("SourceDataset"):
            if name.text and parent.tag != "Overview":
                place = Path(_PAGE.sub("", name.text.strip()))
                if name.get("relativeToVRT", "0") == "1":
                    place = path.parent / place
                found.uses[os.path.realpath(place)].add(parent)
    return found
