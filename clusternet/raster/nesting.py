"""Virtual rasters whose sources are virtual rasters: how many reads one pixel needs."""

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
_MOST_READS = 10_000  # reads per pixel that are always allowed
_MOST_REPEATS = 100  # allowed reads per pixel for each source that the files name
_MOST_BYTES = 2**27  # of a .vrt; mosaics of 100,000 tiles have less


def check_nesting(path: Path) -> None:
    """Raise RasterError if nested virtual rasters need so many reads that reading would not end.

    Thirty files that each name the next one twice need a billion reads for a pixel.
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
    """Fill ``reads`` (virtual raster -> reads for a pixel); return the number of named sources.

    A stack instead of recursion, so that long chains of files do not exceed Python's limit. GDAL
    itself refuses a file that names itself.
    """
    num_named = 0
    open_ends = [start]
    waiting: set[str] = set()
    while open_ends:
        path = open_ends[-1]
        bands = _sources(path)
        inner = {source for band in bands for source in band if source.endswith(".vrt")}
        new = inner - reads.keys() - waiting - {path}
        if path not in reads and new:
            waiting.add(path)
            open_ends += new
            continue
        open_ends.pop()
        if path not in reads:
            reads[path] = max(_band_reads(band, reads) for band in bands)
            num_named += sum(band.total() for band in bands)
    return num_named


def _band_reads(band: Counter[str], reads: dict[str, int]) -> int:
    return sum(count * reads.get(source, 1) for source, count in band.items())


def _sources(path: str) -> list[Counter[str]]:
    """Return for each band its source files by real path, and how often it names each."""
    try:
        state = Path(path).stat()
    except OSError:
        return [Counter()]  # reading the pixels will report the missing file
    return _read_sources(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1024)
def _read_sources(path: str, _changed: int, size: int) -> list[Counter[str]]:
    if size > _MOST_BYTES:
        return [Counter()]
    try:
        text = Path(path).read_bytes()
    except OSError:
        return [Counter()]
    return [
        Counter(_real_path(path, *element) for element in _SOURCE.findall(band))
        for band in text.split(b"<VRTRasterBand")
    ]


def _real_path(path: str, attributes: bytes, name: bytes) -> str:
    source = Path(html.unescape(os.fsdecode(name.strip())).replace("\0", ""))
    folder = Path(path).parent
    return os.path.realpath(folder / source if _RELATIVE.search(attributes) else source)
