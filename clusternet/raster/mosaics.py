"""Virtual rasters in one folder with their source files: each pixel should be read once."""

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
    """The rectangle of a source file that a virtual raster shows."""

    size: tuple[float, float] = (0, 0)
    """(width, height) of the source file; zeros if the virtual raster does not state it."""
    left: float = float("inf")
    top: float = float("inf")
    right: float = 0
    bottom: float = 0
    is_whole: bool = False

    def add(self, source: ElementTree.Element) -> None:
        """Extend the rectangle by that of a source element."""
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
        """True if no row or column of the source file is missing."""
        width, height = self.size
        # rectangles of resampled sources may have fractions of a pixel
        inside = self.left < 1 and self.top < 1
        return self.is_whole or (inside and self.right > width - 1 and self.bottom > height - 1)


@dataclass
class _Virtual:
    path: Path
    uses: dict[str, _Use] = field(default_factory=lambda: defaultdict(_Use))
    """Rectangle of each source file, by its real path."""


def repeated_pixels(paths: Sequence[Path]) -> Iterator[tuple[list[Path], str]]:
    """Yield (files to leave out, reason), so that no pixel is read twice.

    If a ``.vrt`` shows all of its source files, these are left out, because the ``.vrt`` states how
    they belong together. If it shows only a rectangle of one, the ``.vrt`` itself is left out.
    """
    by_real_path = {os.path.realpath(path): path for path in paths}
    virtual = [raster for path in paths if (raster := _read_virtual(path)) is not None]
    known = {os.path.realpath(raster.path): raster for raster in virtual}
    left_out: set[str] = set()
    for raster in virtual:
        real_path = os.path.realpath(raster.path)
        files = _files(raster, known)
        sources = {p for p in files if p in by_real_path and p != real_path} - left_out
        if real_path in left_out or not sources:
            continue
        cut = sorted(p for p in sources if not files[p])
        if cut:
            left_out.add(real_path)
            name = by_real_path[cut[0]].name
            yield [raster.path], f"it shows a part of {name}, which is read whole"
        else:
            left_out |= sources
            yield sorted(by_real_path[p] for p in sources), f"{raster.path.name} is made of them"


def _files(virtual: _Virtual, known: Mapping[str, _Virtual]) -> dict[str, bool]:
    """Return the source files of a virtual raster, and the sources of virtual ones among them.

    Returns:
        real path of each file -> True if all of it is shown.
    """
    sources: dict[str, bool] = {}
    left = [(path, use.shows_all) for path, use in virtual.uses.items()]
    while left:
        path, whole = left.pop()
        if path in sources:
            continue
        sources[path] = whole
        if path in known:
            uses = known[path].uses.items()
            left += [(inner, whole and use.shows_all) for inner, use in uses]
    return sources


def _read_virtual(path: Path) -> _Virtual | None:
    """Read the sources of a .vrt; None for other files, and for files that cannot be read."""
    sources = read_sources(path)
    if sources is None:
        return None
    virtual = _Virtual(path)
    for element, source in sources:
        virtual.uses[str(source)].add(element)
    return virtual
