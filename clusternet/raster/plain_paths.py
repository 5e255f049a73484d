"""Paths in a form that GDAL takes for plain files, whatever characters they contain.

GDAL and the libraries around it take names such as ``s3:scene.tif``, ``GTIFF_DIR:2:scene.tif`` or
``/vsizip/...`` for network addresses, subdatasets or virtual files.
"""

from __future__ import annotations

import os
from pathlib import Path

from clusternet.errors import ClusterNetError
from clusternet.locations import RemotePath


def plain_path(path: Path, kind: type[ClusterNetError]) -> str:
    """Return the path of a file as text that no library takes for an address.

    Args:
        path: a local file; or an address that the user typed, which becomes GDAL's name of it.
        kind: the error to raise.

    Raises:
        ClusterNetError: of ``kind``, if the name is not UTF-8, which the libraries require, or if
            it is a pipe or device, where reading would block.
    """
    if isinstance(path, RemotePath):
        return path.gdal_name
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise kind(f"{path}: is no file but a pipe or device; copy what comes from it to a file.")
    try:
        # the bytes of the name, because Python may have decoded it with another locale
        text = os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise kind(
            f"{path}: its name is no UTF-8 text, so it cannot be opened; rename it."
        ) from error
    if not path.is_absolute():
        return f"{os.curdir}{os.sep}{text}"  # a Path would drop the "./"
    return f"/.{text}" if text.startswith("/vsi") else text
