"""Rasters that are no single local file keep the interface of a path.

The name of a scene is a path everywhere: it gives outputs their names and stands in messages. A
`SourcePath` is such a name for pixels that lie elsewhere. `RemotePath` names an address that the
user typed, as an argument or in a list that he named. `clusternet.raster.stacks` names scenes
whose bands are separate files. `clusternet.raster.opening` opens all of them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from clusternet.errors import RasterError

if sys.platform == "win32":
    from pathlib import WindowsPath as _SystemPath
else:
    from pathlib import PosixPath as _SystemPath

_SCHEMES = {
    "http": "/vsicurl/http://", "https": "/vsicurl/https://", "ftp": "/vsicurl/ftp://",
    "s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/", "abfs": "/vsiadls/", "oss": "/vsioss/",
    "swift": "/vsiswift/",
}  # fmt: skip
"""How GDAL calls the file systems of addresses."""
_FILE_SYSTEMS = (
    "vsizip", "vsitar", "vsigzip", "vsi7z", "vsirar", "vsicurl", "vsis3", "vsigs", "vsiaz",
    "vsiadls", "vsioss", "vsiswift",
)  # fmt: skip
"""GDAL's file systems that may be named. Others read from memory or run what a text says."""
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.I)
_VIRTUAL = re.compile(r"/(vsi[a-z0-9_]+)(?=/|$)")
_ARCHIVE = re.compile(r"^/vsi(?:zip|tar|gzip|7z|rar)/(?!/?vsi)")
_COLLAPSED = re.compile(r"^([a-z][a-z0-9+.-]+):[/\\](?![/\\])", re.I)  # by a plain Path
_SECRET = re.compile(r"(?<=//)[^/@]*@|\?[^/{}]*")
"""The password, and the query, which may hold a signature."""


class SourcePath(_SystemPath):
    """The name of a raster whose pixels are no single local file.

    Paths that are derived from it, such as its ``parent``, are names only and lead to no file.
    """

    @property
    def is_source(self) -> bool:
        """True for the name of a raster, False for a path that was derived from it."""
        return False

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it is read from, as far as they lie on this machine."""
        return ()

    @property
    def addresses(self) -> tuple[RemotePath, ...]:
        """The addresses that it is read from."""
        return ()

    def exists(self, **_options: Any) -> bool:
        """Return True for a raster; whether it can be read is found when it is opened."""
        return self.is_source

    def is_file(self, **_options: Any) -> bool:
        """Return True for a raster: it is read as one file."""
        return self.is_source

    def is_dir(self, **_options: Any) -> bool:
        """Return False: it is not searched for rasters."""
        return False

    def resolve(self, strict: bool = False) -> SourcePath:
        """Return it unchanged."""
        return self


class RemotePath(SourcePath):
    """An address; as text it has neither password nor query, which may hold a secret."""

    _address = ""

    @property
    def is_source(self) -> bool:
        """True for an address that the user typed."""
        return bool(self._address)

    @property
    def addresses(self) -> tuple[RemotePath, ...]:
        """The address itself, unless it names what lies in an archive of this machine."""
        return () if self.files else (self,)

    @property
    def files(self) -> tuple[Path, ...]:
        """The archive that it lies in, if that is on this machine."""
        archive = Path(_ARCHIVE.sub("", self.address))
        above = (folder for folder in archive.parents if folder.is_file())
        return tuple(above) if _ARCHIVE.match(self.address) else ()

    @property
    def address(self) -> str:
        """What the user typed."""
        return self._address or str(self)

    @property
    def gdal_name(self) -> str:
        """How GDAL calls it."""
        address = self.address
        scheme = _SCHEME.match(address)
        if scheme is None:
            return address
        return _SCHEMES[scheme[1].lower()] + address[scheme.end() :]

    def __str__(self) -> str:
        """Return the address without password and query."""
        if self._address:
            return _SECRET.sub("", self._address)
        text = super().__str__()
        return _COLLAPSED.sub(r"\1://", text)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the address when it goes to another process."""
        return _remote, (self.address,)


def _remote(address: str) -> RemotePath:
    path = RemotePath(_SECRET.sub("", address))
    path._address = address
    return path


def state_of(path: Path) -> tuple[int, int]:
    """Return the size in bytes of a raster's files and when they last changed, in nanoseconds.

    Both are 0 for an address, which is known by its name alone.
    """
    files = path.files if isinstance(path, SourcePath) else (path,)
    states = [file.stat() for file in files]
    return sum(s.st_size for s in states), max((s.st_mtime_ns for s in states), default=0)


def state_text(path: Path) -> str:
    """Return what tells whether a file has changed: its name, size and time of the last change.

    An address is known by its name alone.
    """
    if isinstance(path, SourcePath) and path.addresses:
        return path.name
    size, changed = state_of(path)
    return f"{path.name}, {size} bytes, changed at {changed} ns"


def location(given: str | Path) -> Path:
    """Return the path of a raster that a user named: a local one, or an address.

    Args:
        given: a path, an address such as ``https://host/scene.tif`` or ``s3://bucket/scene.tif``,
            or a name of GDAL's file systems such as ``/vsizip/scenes.zip/scene.tif``.

    Raises:
        RasterError: if it is an address of a kind that cannot be read.
    """
    if isinstance(given, SourcePath) or (isinstance(given, Path) and given.exists()):
        return given
    text = _COLLAPSED.sub(r"\1://", str(given)) if isinstance(given, Path) else given
    scheme, virtual = _SCHEME.match(text), _VIRTUAL.match(text)
    if scheme is None and virtual is None:
        return Path(text)
    if scheme is not None and scheme[1].lower() == "file":
        return Path(unquote(urlsplit(text).path))
    known = virtual[1] in _FILE_SYSTEMS if virtual else scheme and scheme[1].lower() in _SCHEMES
    if not known or any(name not in _FILE_SYSTEMS for name in _VIRTUAL.findall(text)):
        raise RasterError(
            f"{_SECRET.sub('', text)}: is no address that rasters are read from; expected "
            f"{', '.join(f'{name}://' for name in _SCHEMES)}, /vsizip/ or /vsicurl/."
        )
    return _remote(text)
