"""Set up a process before it works: environment variables, loggers and encodings.

The scripts and the worker processes call this. To import the package changes nothing in a process:
neither its environment nor its loggers, file descriptors or threads.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

_SETTINGS = {
    # GDAL caches decoded blocks, by default up to 5 % of the machine's memory in every process.
    # These MiB hold a row of windows of a large raster, and are little even for many workers.
    "GDAL_CACHEMAX": "256",
    # TensorFlow's errors also reach us as exceptions, so its log is not needed
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
_XLA_DETERMINISM = "--xla_gpu_deterministic_ops"
_PROJ = ("PROJ_DATA", "PROJ_LIB")
_GDAL = ("GDAL_DATA", "GDAL_DRIVER_PATH")
_LAYOUT = "SELECT value FROM metadata WHERE key LIKE 'DATABASE.LAYOUT.VERSION.M__OR' ORDER BY key"


def prepare_process() -> None:
    """Set up this process; call it before libraries are loaded.

    Variables that name the data folders of another GDAL or PROJ (PostGIS, QGIS and conda set them)
    are removed, for this process and those it starts.
    """
    for name in variables_of_others():
        del os.environ[name]
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    _make_jax_deterministic()
    # GDAL's messages become exceptions, or do not concern the user
    logging.getLogger("rasterio").propagate = False
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of retracing several models
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a console may lack characters of a class or file name
            reconfigure(errors="backslashreplace")


def _make_jax_deterministic() -> None:
    """Make training with JAX on a GPU reproducible, unless the user has set the flag.

    By default XLA adds numbers in the order in which threads of a GPU finish. The deterministic
    order takes no more time (docs/method.md).
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if os.environ.get("KERAS_BACKEND") == "jax" and _XLA_DETERMINISM not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_XLA_DETERMINISM}=true".strip()


def variables_of_others() -> list[str]:
    """Return the environment variables that name data which our GDAL and PROJ cannot use."""
    package = _wheel()
    if package is None:  # built from source: it needs what the variables name
        return []
    names = [n for n in _GDAL if n in os.environ and not _is_inside(os.environ[n], package)]
    own = _layout(package / "proj_data")
    return names + [n for n in _PROJ if n in os.environ and not _fits(os.environ[n], own)]


@lru_cache
def _wheel() -> Path | None:
    """Return the folder of rasterio if it is a wheel, which contains GDAL and its data."""
    spec = find_spec("rasterio")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return folder if (folder / "proj_data" / "proj.db").is_file() else None


def _is_inside(value: str, folder: Path) -> bool:
    return Path(os.path.realpath(value)).is_relative_to(os.path.realpath(folder))


def _fits(value: str, own: tuple[int, ...] | None) -> bool:
    """Tell whether our PROJ can read the first ``proj.db`` in the folders of a search path.

    Such a variable is kept, because the folders may hold grids that our own data lack.
    """
    folders = [Path(folder) for folder in value.split(os.pathsep) if folder]
    layout = next((_layout(f) for f in folders if (f / "proj.db").is_file()), None)
    return layout is not None and own is not None and layout[0] == own[0] and layout >= own


@lru_cache
def _layout(folder: Path) -> tuple[int, ...] | None:
    """Return the version of the layout of ``proj.db``, None if it cannot be read."""
    import sqlite3  # here, because few processes need it

    address = f"{(folder / 'proj.db').absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            return tuple(int(value) for (value,) in database.execute(_LAYOUT))
    except (sqlite3.Error, ValueError):
        return None


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Silence stderr, file descriptor included: C and C++ libraries print there directly."""
    try:
        kept = os.dup(2)
    except OSError:  # no stderr at all, as under some services
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with Path(os.devnull).open("w") as sink:
        os.dup2(sink.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
