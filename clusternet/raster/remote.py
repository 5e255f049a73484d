"""Rasters at addresses: GDAL's settings for them, and what its messages say of the answer."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import rasterio

from clusternet.errors import RasterError
from clusternet.foreign_errors import reason
from clusternet.locations import RemotePath, SourcePath

_SETTINGS = {
    # one request for the header, and none for files that might lie beside it
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_CONNECTTIMEOUT": "15",
    # a transfer that is slower than 100 bytes a second for half a minute has failed
    "GDAL_HTTP_LOW_SPEED_LIMIT": "100",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    # bytes of compressed blocks that neighbouring windows share are fetched once
    "CPL_VSIL_CURL_CACHE_SIZE": str(2**27),
}
"""GDAL's variables; those that the user has set in the environment stay as they are."""
_STATUS = re.compile(r"(?:HTTP (?:response|error) code|response_code)\D{0,4}(\d{3})", re.I)
_NO_ANSWER = re.compile(r"(Could not resolve|Failed to connect|Connection (?:refused|reset)|"
                        r"timed? ?out|SSL)[^;]*", re.I)  # fmt: skip
_CUT_OFF = re.compile(r"got \d+ bytes, expected \d+|not enough data|premature", re.I)
_ANOTHER_FORMAT = "not recognized as being in a supported file format"
_PASSWORD = re.compile(r"(?<=//)[^/@]*@")
_PATIENCE = 10  # seconds
_QUERY = re.compile(r"\?\S*")
_MEANINGS = {
    "401": "log-in needed", "403": "access denied", "404": "not found", "410": "gone",
    "416": "no such part", "429": "too many requests", "500": "server error",
    "502": "server error", "503": "server busy", "504": "server too slow",
}  # fmt: skip


def remote_settings(path: Path) -> AbstractContextManager[object]:
    """Return a block in which GDAL reads a raster with time-outs and retries if it is remote."""
    if not isinstance(path, SourcePath) or not path.addresses:
        return nullcontext()
    wanted = {name: value for name, value in _SETTINGS.items() if name not in os.environ}
    environment: AbstractContextManager[object] = rasterio.Env(**wanted)
    return environment


def why_unread(path: SourcePath, said: Sequence[str]) -> str:
    """Return the reason for users why an address could not be read, from GDAL's messages.

    The messages themselves may hold the query of the address, and so a secret.
    """
    for text in said:
        if status := _STATUS.search(text):
            return _named(status[1])
        if failed := _NO_ANSWER.search(text):
            return failed[0].strip()
    if any(_CUT_OFF.search(text) for text in said):
        answers = ((each, _ask(each)) for each in path.addresses)
        told = next((f"{each.name}: {answer}" for each, answer in answers if answer), "")
        return told or "the server stopped answering, or the file is cut off"
    if any(_ANOTHER_FORMAT in text for text in said):
        return "it holds no raster of a format that holds its pixels itself, such as GeoTIFF"
    return _QUERY.sub("", said[-1]) if said else "no reason is known"


def _named(status: str) -> str:
    meaning = _MEANINGS.get(status, "")
    return f"HTTP status {status}" + (f", {meaning}" if meaning else "")


def _ask(path: RemotePath) -> str:
    """Return how the server answers now; empty if it sends the file, or has no such answers.

    GDAL says nothing of the answer to a request in the middle of a file.
    """
    try:
        _first_byte(path)
    except urllib.error.HTTPError as error:
        return _named(str(error.code))
    except (OSError, ValueError) as error:
        return reason(error)
    return ""


def remote_size(path: RemotePath) -> int | None:
    """Return the size of a file on a server in bytes; None if it does not say."""
    try:
        total = (_first_byte(path) or "").rpartition("/")[2]
    except (OSError, ValueError):
        return None
    return int(total) if total.isdecimal() else None


def _first_byte(path: RemotePath) -> str | None:
    """Ask a server for the first byte of a file; return which part of the file it says it sends.

    Raises:
        OSError: if it does not send it.
    """
    address = _PASSWORD.sub("", path.address)
    if not address.lower().startswith(("http://", "https://")):
        return None
    request = urllib.request.Request(address, headers={"Range": "bytes=0-0"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310  http or https
        part: str | None = answer.headers.get("Content-Range")
    return part


def check_remote_kind(path: Path) -> None:
    """Raise RasterError if an address names a virtual raster.

    The user trusts the address as a place, not what lies there: a virtual raster could make this
    machine read its own files, or those of other servers.
    """
    if isinstance(path, RemotePath) and path.suffix.lower() in (".vrt", ".xml", ".json"):
        raise RasterError(
            f"{path}: is a text that names other files, which is not read from an address; give "
            "the rasters that it names, or download it and give the copy."
        )
