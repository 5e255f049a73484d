"""Files beside an output that speak of it (``.qml``, ``.aux.xml``): ours are signed, others stay.

The signature is made of the content and of the name of the output, so that a side file that was
edited, or that belongs to another output of the same stem, is not taken for ours.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusternet.errors import OutputError
from clusternet.files.outputs import new_file

logger = logging.getLogger(__name__)


def signature(of: Path, content: bytes) -> str:
    """Return what signs the side file of ``of`` that says ``content``."""
    return hashlib.sha256(of.name.encode() + b"\0" + content).hexdigest()[:16]


def check_side_file(path: Path, *, is_ours: bool, overwrite: bool) -> None:
    """Refuse a side file of ours that may not be replaced; others are no obstacle.

    Raises:
        OutputError: if ours is there and ``overwrite`` is false.
    """
    if path.exists() and is_ours and not overwrite:
        raise OutputError(f"{path}: exists already; --overwrite replaces it.")


@contextmanager
def new_side_file(
    path: Path, *, is_ours: bool, overwrite: bool, lacks: str
) -> Iterator[Path | None]:
    """Yield a hidden sibling to write, as `new_file`, or None where the file of others stays.

    Args:
        path: the side file.
        is_ours: of what lies there now.
        overwrite: replace ours.
        lacks: what the output is without, for the log.

    Raises:
        OutputError: as of `check_side_file`, or if it cannot be written.
    """
    check_side_file(path, is_ours=is_ours, overwrite=overwrite)
    if path.exists() and not is_ours:
        logger.warning("%s: kept, since ClusterNet did not write it; %s.", path, lacks)
        yield None
        return
    with new_file(path, overwrite=True) as part:
        yield part
