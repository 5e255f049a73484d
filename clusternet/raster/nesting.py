"""Virtual rasters made of virtual rasters: how often a file is read to give one pixel."""

from __future__ import annotations

import html
import os
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

from clusternet.errors import RasterError

_SOURCE = re.compile(rb"<(?:SourceFilename|SourceDataset)\b([^>]*)>([^<]*)<")
_RELATIVE = re.compile(rb"""relativeToVRT\s*=\s*["']1["']""", re.I)
_MOST_READS = 10_000  # that anybody may ask for
_MOST_REPEATS = 100  # reads for each place where a source is named
_MOST_BYTES = 2**27  # of a .vrt; mosaics of 100,000 tiles have less


def check_nesting(path: Path) -> None:
    """Raise RasterError if virtual rasters name each other so that reading would not end.

    Thirty files that each name the next one twice ask for a billion reads.
    """
    reads: dict[str, int] = {}
    num_named = _count_reads(os.path.realpath(path), reads)
    if max(reads.values()) > max(_MOST_READS, _MOST_REPEATS * num_named):
        raise RasterError(
            f"{path}: its virtual rasters name each other again and again, so that their "
            f"{num_named} sources would be read {max(reads.values()):.0e} times. Name each "
            "source once, or write a raster in place of the inner ones: gdal_translate."
        )


def _count_reads(start: str, reads: dict[str, int]) -> int:
    """Fill ``reads``: virtual raster -> reads for a pixel; return how many sources are named.

    No recursion, so that no chain is too long. What names itself is refused by GDAL in reading.
    """
    num_named = 0
    open_ends = [start]
    waiting: set[str] = set()
    while open_ends:
        place = open_ends[-1]
        bands = _sources(place)
        inner = {source for band in bands for source in band if source.endswith(".vrt")}
        new = inner - reads.keys() - waiting - {place}
        if place not in reads and new:
            waiting.add(place)
            open_ends += new
            continue
        open_ends.pop()
        if place not in reads:
            reads[place] = max(_band_reads(band, reads) for band in bands)
            num_named += sum(band.total() for band in bands)
    return num_named


def _band_reads(band: Counter[str], reads: dict[str, int]) -> int:
    return sum(count * reads.get(source, 1) for source, count in band.items())


def _sources(place: str) -> list[Counter[str]]:
    """Return for each band the files that it is made of, by their real path, and how often."""
    try:
        state = Path(place).stat()
    except OSError:
        return [Counter()]  # reading it will say so
    return _read_sources(place, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1024)
def _read_sources(place: str, _changed: int, size: int) -> list[Counter[str]]:
    if size > _MOST_BYTES:
        return [Counter()]
    try:
        text = Path(place).read_bytes()
    except OSError:
        return [Counter()]
    return [
        Counter(_real_path(place, *found) for found in _SOURCE.findall(band))
        for band in text.split(b"<VRTRasterBand")
    ]


def _real_path(place: str, attributes: bytes, name: bytes) -> str:
    source = Path(html.unescape(os.fsdecode(name.strip())).replace("\0", ""))
    folder = Path(place).parent
    return os.path.realpath(folder / source if _RELATIVE.search(attributes) else source)
