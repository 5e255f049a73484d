"""Sidecar files that describe an output (``.qml``, ``.aux.xml``): only ours are ever replaced.

Ours carry a signature made from their content and the name of the output. A sidecar file that was
edited, or that belongs to another output of the same stem, does not match it and is kept.
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
    """Return the signature of a sidecar file with this content, beside the output ``of``."""
    return hashlib.sha256(of.name.encode() + b"\0" + content).hexdigest()[:16]


def check_side_file(path: Path, *, is_ours: bool, overwrite: bool) -> None:
    """Refuse a sidecar file of ours that may not be replaced; one of others is no obstacle.

    Raises:
        OutputError: if it exists, is ours, and ``overwrite`` is false.
    """
    if path.exists() and is_ours and not overwrite:
        raise OutputError(f"{path}: exists already; --overwrite replaces it.")


@contextmanager
def new_side_file(
    path: Path, *, is_ours: bool, overwrite: bool, lacks: str
) -> Iterator[Path | None]:
    """Yield a hidden path to write to, as `new_file` does; None where a file of others is kept.

    Args:
        path: the sidecar file.
        is_ours: whether ClusterNet wrote the file that exists now.
        overwrite: replace a file of ours.
        lacks: what the output lacks without it, for the warning.

    Raises:
        OutputError: as of `check_side_file`, or if it cannot be written.
    """
    check_side_file(path, is_ours=is_ours, overwrite=overwrite)
    if path.exists() and not is_ours:
        logger.warning("%s: kept, since ClusterNet did not write it; %s.", path, lacks)
        yield None
        return
    with new_file(path, overwrite=True) as hidden_path:
        yield hidden_path
