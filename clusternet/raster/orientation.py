"""The EXIF orientation of images: cameras store pixels unrotated, with a tag for the rotation.

GDAL ignores the tag, and so do QGIS and this package. But many annotation programs rotate the
picture before labels are drawn. Then labels and image do not match.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from clusternet.raster.endings import PNG_START

logger = logging.getLogger(__name__)

_TAG = 274  # Orientation, in the first directory of TIFF and EXIF
_UPRIGHT = 1
_ORIENTATIONS = range(1, 9)
_MOST_ENTRIES = 4096  # of a directory; real ones have some dozens, in ascending order
_NAMED = 3  # files that the warning names

_said: set[Path] = set()


def warn_of_orientation(paths: Iterable[Path]) -> None:
    """Warn of files with an EXIF orientation other than upright, once for each file.

    Args:
        paths: any files; only JPEG, PNG and TIFF are checked.
    """
    turned = {
        path: value
        for path in paths
        if (value := read_orientation(path)) != _UPRIGHT and path.resolve() not in _said
    }
    _said.update(path.resolve() for path in turned)
    if not turned:
        return
    names = [f"{path} ({turned[path]})" for path in list(turned)[:_NAMED]]
    logger.warning(
        "%d file(s) carry an EXIF orientation, which is not applied, as in GDAL and QGIS: %s. "
        "Annotation programs do apply it: if labels were drawn in one, save the images upright "
        "first (mogrify -auto-orient FILE; it keeps no georeference).",
        len(turned), ", ".join(names) + (", ..." if len(turned) > _NAMED else ""),
    )  # fmt: skip


def read_orientation(path: Path) -> int:
    """Return the EXIF orientation of a file, 1 to 8; 1 (upright) where it states none."""
    if not path.is_file():  # opening a pipe would block
        return _UPRIGHT
    try:
        with path.open("rb") as stream:
            start = _find_directory(stream)
            value = _UPRIGHT if start is None else _read_tag(stream, start)
    # a truncated file, or offsets beyond its end: reading the pixels will report it
    except (OSError, struct.error, ValueError, OverflowError):
        return _UPRIGHT
    return value if value in _ORIENTATIONS else _UPRIGHT


def _find_directory(stream: BinaryIO) -> int | None:
    """Return the offset of the TIFF header, which EXIF also consists of; None if there is none."""
    head = stream.read(8)
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return 0
    if head == PNG_START:
        return _find_in_png(stream)
    if head[:2] == b"\xff\xd8":
        return _find_in_jpeg(stream)
    return None


def _find_in_png(stream: BinaryIO) -> int | None:
    while True:
        length, name = struct.unpack(">I4s", stream.read(8))
        if name == b"eXIf":
            return stream.tell()
        if name == b"IEND":
            return None
        stream.seek(length + 4, 1)  # the content of the chunk, and 4 bytes of checksum


def _find_in_jpeg(stream: BinaryIO) -> int | None:
    stream.seek(2)
    while True:
        marker, length = struct.unpack(">HH", stream.read(4))
        if marker >> 8 != 0xFF or marker == 0xFFDA:  # not a segment, or pixels follow
            return None
        content = stream.tell()
        if marker == 0xFFE1 and stream.read(6) == b"Exif\0\0":
            return content + 6
        stream.seek(content + length - 2)  # the length counts its own two bytes


def _read_tag(stream: BinaryIO, start: int) -> int:
    """Return the orientation in the first directory of a TIFF header at ``start``."""
    stream.seek(start)
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    is_big = struct.unpack_from(f"{order}H", head, 2)[0] == 43  # BigTIFF
    directory = struct.unpack_from(*(f"{order}Q", head, 8) if is_big else (f"{order}I", head, 4))[0]
    stream.seek(start + directory)
    number = f"{order}Q" if is_big else f"{order}H"
    count = struct.unpack(number, stream.read(struct.calcsize(number)))[0]
    size, value_at = (20, 12) if is_big else (12, 8)
    for _ in range(min(count, _MOST_ENTRIES)):
        entry = stream.read(size)
        if struct.unpack_from(f"{order}H", entry)[0] == _TAG:
            return int(struct.unpack_from(f"{order}H", entry, value_at)[0])
    return _UPRIGHT
