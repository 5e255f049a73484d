"""Bind GDAL's libraries before another library brings its own copies of them along."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

_EXTENSIONS = ("_ogr", "_io")


def bind_vector_library() -> None:
    """Load the GDAL that pyogrio uses, with the SQLite that it comes with.

    TensorFlow brings a SQLite without r-trees along, and shows its functions to libraries that are
    loaded later. GDAL would take them for its own, and write GeoPackages without spatial index. To
    import pyogrio would do as well, but it imports pandas and geopandas, a quarter of a second.
    """
    found = find_spec("pyogrio")
    for folder in (found.submodule_search_locations or []) if found else []:
        for name in _EXTENSIONS:
            for path in (Path(folder, name + suffix) for suffix in EXTENSION_SUFFIXES):
                if path.is_file():
                    with suppress(OSError):  # on Windows, where libraries do not see each other's
                        ctypes.CDLL(str(path))
