"""One file for the browser to keep: several files go into a zip archive."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from clusternet.files.outputs import Kind, new_file
from clusternet.raster.category_names import side_file_path
from clusternet.raster.styles import style_path

_MARK = b"ClusterNet export"


def _is_archive(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return archive.comment == _MARK


ARCHIVE = Kind("export", _is_archive)


def for_download(paths: Sequence[Path], archive: Path) -> Path:
    """Return the only file, or an archive of several ones.

    Args:
        paths: files that were written. Styles and names that lie beside them belong to them.
        archive: the archive to write, in place of an earlier one.
    """
    every = list(_with_sides(paths))
    if len(every) == 1:
        return every[0]
    with new_file(archive, kind=ARCHIVE, overwrite=True) as unfinished:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
            target.comment = _MARK
            for path in every:
                target.write(path, path.name)
    return archive


def _with_sides(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield path
        yield from (side for side in (side_file_path(path), style_path(path)) if side.exists())
