"""Exceptions of libraries and of the system that mean a fault of a file or of the machine.

They are listed by name, so that no library has to be loaded to recognise one. Code that reads a
file turns them into an error that names the file. The scripts turn the others into one line. An
exception that is not listed is a fault of this package and keeps its traceback.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clusternet import limited_memory
from clusternet.errors import ClusterNetError
from clusternet.messages import one_line
from clusternet.process_setup import variables_of_others

_NO_MEMORY = "memory ran out"

FOREIGN: dict[str, str] = {
    # the system
    "builtins.OSError": "the system",
    "builtins.ImportError": "a package cannot be loaded",
    "builtins.MemoryError": _NO_MEMORY,
    "builtins.RecursionError": "nested too deeply",
    "builtins.UnicodeError": "text of another encoding than UTF-8",
    # the standard library
    "_csv.Error": "CSV",
    "json.decoder.JSONDecodeError": "JSON",
    "sqlite3.Error": "SQLite",
    "tarfile.TarError": "tar",
    "xml.etree.ElementTree.ParseError": "XML",
    "zipfile.BadZipFile": "zip",
    "zlib.error": "zlib",
    # rasters and vectors; errors of private modules have no public name
    "pyogrio._err.CPLE_BaseError": "GDAL",
    "pyogrio.errors.CRSError": "PROJ",
    "pyogrio.errors.DataLayerError": "GDAL",
    "pyogrio.errors.DataSourceError": "GDAL",
    "pyogrio.errors.FeatureError": "GDAL",
    "pyogrio.errors.FieldError": "GDAL",
    "pyogrio.errors.GeometryError": "GDAL",
    "pyproj.exceptions.ProjError": "PROJ",
    "rasterio._err.CPLE_BaseError": "GDAL",
    "rasterio.errors.CRSError": "PROJ",
    "rasterio.errors.FileOverwriteError": "GDAL",
    "rasterio.errors.DriverRegistrationError": "GDAL",
    "rasterio.errors.GDALBehaviorChangeException": "GDAL",
    "rasterio.errors.RPCError": "GDAL",
    "rasterio.errors.RasterioError": "GDAL",
    "rasterio.errors.WindowEvaluationError": "GDAL",
    "shapely.errors.ShapelyError": "GEOS",
    # pictures, settings, networks
    "PIL.Image.DecompressionBombError": "Pillow",
    "jaxlib.xla_extension.XlaRuntimeError": "XLA",
    "jaxlib._jax.XlaRuntimeError": "XLA",
    "tensorflow.python.framework.errors_impl.ResourceExhaustedError": _NO_MEMORY,
    "torch.OutOfMemoryError": _NO_MEMORY,
    "yaml.error.YAMLError": "YAML",
}
"""Full name of each class -> topic for messages. Subclasses have the topic of their base class."""

_ADVICE = {
    errno.EACCES: "check its permissions",
    errno.EDQUOT: "make room on the disk",
    errno.EISDIR: "name a file, not a folder",
    errno.ELOOP: "its symbolic links go in a circle",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENAMETOOLONG: "shorten it",
    errno.ENOSPC: "make room on the disk",
    errno.ENOTDIR: "a part of its path is a file",
    errno.EPERM: "check its permissions",
    errno.EROFS: "choose a place that can be written",
}


_NO_ROOM = ("can't start new thread", "failed to map segment", "annot allocate memory")
"""Texts of RuntimeError and ImportError that mean a lack of memory."""


def is_foreign(error: BaseException) -> bool:
    """Tell whether an exception is listed, or is a subclass of one that is."""
    return topic(error) is not None


def topic(error: BaseException) -> str | None:
    """Return the topic of a listed exception, None for others."""
    if isinstance(error, (RuntimeError, ImportError)) and any(t in str(error) for t in _NO_ROOM):
        return _NO_MEMORY
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    about = next((FOREIGN[name] for name in names if name in FOREIGN), None)
    if type(error) is RuntimeError and str(error).startswith("Symlink loop"):
        return "the system"  # raised by pathlib for symbolic links in a circle
    # XLA has one class for all of its errors, of which only this is no fault of the program
    return None if about == "XLA" and "RESOURCE_EXHAUSTED" not in str(error) else about


def reason(error: BaseException) -> str:
    """Return the reason that an exception states, as one short line for a message."""
    about = topic(error)
    if isinstance(error, PermissionError):
        return "no permission"
    if isinstance(error, OSError) and error.strerror:
        return one_line(error.strerror)
    text = one_line(str(error))
    if about is None or about == "the system":
        return text or type(error).__name__
    if about == "PROJ" and (others := variables_of_others()):
        return f"PROJ: {others[0]} names the data of another installation; unset it"
    return f"{about}: {text}" if text else about


def describe(error: BaseException) -> str:
    """Return the message for a listed exception that no other code has turned into an error."""
    if topic(error) == _NO_MEMORY:
        return f"Cannot go on ({reason(error)}); {_more_memory()}."
    if not isinstance(error, OSError) or error.strerror is None:
        return f"Cannot go on ({reason(error)})."
    advice = _ADVICE.get(error.errno or 0)
    line = f"cannot be used ({reason(error)})"
    if error.filename is not None:
        line = f"{os.fsdecode(error.filename)}: {line}"
    return f"{line}; {advice}." if advice else f"{line}."


def _more_memory() -> str:
    limit = limited_memory.limit()
    if limit is not None:
        return f"raise the limit of {limit >> 20} MB (ulimit -v)"
    return "free some, or lower --workers, --window_size or --train_batch_size"


def mistake(error: BaseException) -> str | None:
    """Return the message for the user; None if the exception is a fault of this package."""
    if isinstance(error, ClusterNetError):
        return str(error)
    return describe(error) if is_foreign(error) else None


@contextmanager
def converted(kind: type[ClusterNetError], message: str | Callable[[], str]) -> Iterator[None]:
    """Turn listed exceptions of the block into ``kind``: ``message``, then the reason.

    Args:
        kind: the error to raise instead.
        message: start of the error, without full stop: which file cannot be used for what. A
            function if that is not known at the start of the block.
    """
    try:
        yield
    except ClusterNetError:
        raise
    except Exception as error:
        if not is_foreign(error):
            raise
        text = message if isinstance(message, str) else message()
        raise kind(f"{text} ({reason(error)}).") from error
