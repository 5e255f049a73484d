"""Rasters at addresses: GDAL's settings for them, and what its messages say of the answer."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import rasterio

from clusternet.errors import RasterError
from clusternet.foreign_errors import reason
from clusternet.locations import RemotePath, SourcePath
from clusternet.raster.answers import CHECK_ADDRESS, Answer, of_messages, of_status
from clusternet.raster.gdal_messages import plain_words

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
_CUT_OFF = re.compile(r"got \d+ bytes, expected \d+|not enough data|premature", re.I)
_ANOTHER_FORMAT = "not recognized as being in a supported file format"
_AGAIN = "check the address and the network, then give the same command again."
_PASSWORD = re.compile(r"(?<=//)[^/@]*@")
_PATIENCE = 10  # seconds
_QUERY = re.compile(r"\?\S*")
_ABSENT = "does not exist in the file system"


def remote_settings(path: Path) -> AbstractContextManager[object]:
    """Return a block in which GDAL reads a raster with time-outs and retries if it is remote."""
    if not isinstance(path, SourcePath) or not path.addresses:
        return nullcontext()
    wanted = {name: value for name, value in _SETTINGS.items() if name not in os.environ}
    environment: AbstractContextManager[object] = rasterio.Env(**wanted)
    return environment


def kept_open() -> AbstractContextManager[object]:
    """Return a block in which to open a raster that stays open until its thread or Python ends.

    Outside of such a block rasterio 1.5 gives each dataset a GDAL environment of its own, which is
    gone by then, and closing the dataset prints a traceback.
    """
    environment: AbstractContextManager[object] = rasterio.Env()
    return environment


def why_unread(path: SourcePath, said: Sequence[str]) -> Answer:
    """Return why an address cannot be read, from GDAL's messages.

    The messages themselves may hold the query of the address, and so a secret.
    """
    if (answer := of_messages(said)) is not None:
        return answer
    if any(_CUT_OFF.search(text) for text in said):
        for each in path.addresses:
            if (answer := _ask(each)) is not None:
                return replace(answer, reason=f"{each.name}: {answer}")
        return Answer("the server stopped answering, or the file is cut off", _AGAIN)
    if any(_ABSENT in text for text in said):
        answers = (_ask(each) for each in path.addresses)
        return next(filter(None, answers), Answer("there is no such file", CHECK_ADDRESS))
    if any(_ANOTHER_FORMAT in text for text in said):
        reason = "it holds no raster of a format that holds its pixels itself, such as GeoTIFF"
        return Answer(reason, CHECK_ADDRESS)
    told = _QUERY.sub("", said[-1]) if said else "no reason is known"
    return Answer(plain_words(told), _AGAIN)


def _ask(path: RemotePath) -> Answer | None:
    """Return how the server answers now; None if it sends the file, or has no such answers.

    GDAL says nothing of the answer to a request in the middle of a file.
    """
    try:
        _first_byte(path)
    except urllib.error.HTTPError as error:
        return of_status(str(error.code))
    except (OSError, ValueError) as error:
        return of_messages([str(error)]) or Answer(reason(error), _AGAIN)
    return None


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
