"""Paths as GDAL takes them for plain files, whatever their characters.

GDAL and the libraries around it read ``s3:scene.tif``, ``GTIFF_DIR:2:scene.tif`` or
``/vsizip/...`` as addresses of other things.
"""

from __future__ import annotations

import os
from pathlib import Path

from clusternet.errors import ClusterNetError


def plain_path(path: Path, kind: type[ClusterNetError]) -> str:
    """Return the path of a file as text that no library takes for an address.

    Args:
        path: a local file.
        kind: the error to raise.

    Raises:
        ClusterNetError: of ``kind``, if the name is no UTF-8 text, the only one that they take, or
            it is the name of a pipe or device, which would be waited for.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise kind(f"{path}: is no file but a pipe or device; copy what comes from it to a file.")
    try:
        # the bytes of the name, which another locale shows as other letters
        text = os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise kind(
            f"{path}: its name is no UTF-8 text, so it cannot be opened; rename it."
        ) from error
    if not path.is_absolute():
        return f"{os.curdir}{os.sep}{text}"  # as text, since a Path would drop the dot
    return f"/.{text}" if text.startswith("/vsi") else text
