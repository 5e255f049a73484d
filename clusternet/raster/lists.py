"""Files that stand for several rasters: lists of them, one a line, and archives."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from clusternet.errors import RasterError
from clusternet.locations import SourcePath, location
from clusternet.raster.endings import RASTER_SUFFIXES
from clusternet.text_files import read_text, taken_apart

_SUFFIXES = (".txt", ".lst", ".list")
_IN_ZIP = "/vsizip/"
_ZIPPED = tuple(suffix for suffix in RASTER_SUFFIXES if suffix != ".vrt")
_MOST_LINES = 100_000
_GRID_STARTS = ("ncols", "nrows", "dsaa", "north:")
"""How rasters that are written as text begin."""


def is_list(path: Path) -> bool:
    """Tell whether a file is a list of rasters: by its ending and its first line."""
    if isinstance(path, SourcePath) or path.suffix.lower() not in _SUFFIXES or not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            words = stream.read(4096).lower().split()
    except OSError:
        return False
    first = words[0].decode("utf-8", "replace") if words else ""
    return not first.startswith(_GRID_STARTS) and not _is_number(first)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def read_list(path: Path) -> list[Path]:
    """Return the rasters and folders that a list names, each once.

    Paths are relative to the folder of the list. Empty lines and lines that begin with ``#`` are
    left out.

    Raises:
        RasterError: if it names nothing, or a file that does not exist.
    """
    lines = [line.strip() for line in read_text(path, RasterError).splitlines()]
    named = [(i, line) for i, line in enumerate(lines, 1) if line and not line.startswith("#")]
    if not named or len(named) > _MOST_LINES:
        raise RasterError(
            f"{path}: lists {len(named)} rasters; expected from 1 to {_MOST_LINES}, a path or "
            "address a line."
        )
    return list(dict.fromkeys(_read_line(path, number, text) for number, text in named))


def _read_line(path: Path, number: int, text: str) -> Path:
    try:
        named = location(text)
    except RasterError as error:
        raise RasterError(f"{path}, line {number}: {error}") from error
    if isinstance(named, SourcePath):
        return named
    local = Path(os.path.normpath(path.parent / named.expanduser()))
    if not local.exists():
        raise RasterError(f"{path}, line {number}: {local}: no such file or folder.")
    return local


def is_archive(path: Path) -> bool:
    """Tell by its ending whether a file of this machine is an archive that is looked into."""
    return not isinstance(path, SourcePath) and path.suffix.lower() == ".zip" and path.is_file()


def zipped_rasters(path: Path) -> list[Path]:
    """Return the names by which rasters inside of a zip archive are read.

    Raises:
        RasterError: if it cannot be read.
    """
    with taken_apart(RasterError, f"{path}: cannot be read as a zip archive"):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    rasters = [name for name in names if Path(name).suffix.lower() in _ZIPPED]
    return [location(f"{_IN_ZIP}{path.absolute().as_posix()}/{name}") for name in rasters]


def plain_place(path: Path) -> Path:
    """Return where what lies in an archive would lie if the archive were a folder."""
    text = path.as_posix()
    if not text.startswith(_IN_ZIP):
        return path
    place = text.removeprefix(_IN_ZIP)
    return Path(place if ":" in place[:3] else f"/{place}")  # or begins with a drive of Windows


def common_folder(paths: list[Path]) -> Path:
    """Return the folder above all paths, relative to which their outputs are named."""
    shared: list[str] = []
    for names in zip(*(path.parent.parts for path in paths), strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return Path(*shared)
