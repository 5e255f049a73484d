"""Faults of networks that users bring, and of what downloads them, as one clear line."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from clusternet.errors import ClusterNetError
from clusternet.messages import one_line

_URL = re.compile(r"https?://[^\s'\")]+")
_LONGEST = 100  # characters of a library's message
_NOT_LOADED = ("Skipping nested container", "Skipping variable loading", "could not be loaded")


@contextmanager
def refused(message: str, kind: type[ClusterNetError], advice: str = "") -> Iterator[None]:
    """Turn any exception of the block into ``kind``.

    A network is code of others: its layers, and what fetches its weights, may raise anything.

    Args:
        message: start of the error: what cannot be done with which network.
        kind: the error to raise.
        advice: end of the error: what to do.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for part in _NOT_LOADED:  # Keras only warns of weights that it leaves random
                warnings.filterwarnings("error", message=f".*{part}")
            yield
    except ClusterNetError:
        raise
    except Exception as error:
        text = one_line(str(error) or type(error).__name__, _LONGEST)
        raise kind(f"{message} ({text}){'; ' + advice if advice else ''}.") from error


def url_in(error: BaseException) -> str | None:
    """Return the address that a message of a failed download names."""
    found = _URL.search(str(error))
    return found.group().rstrip(".:,") if found else None
