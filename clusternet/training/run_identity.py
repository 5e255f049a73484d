"""The identity of a run: its files state it, so that files of two runs are not taken for one."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from clusternet.errors import RunError
from clusternet.foreign_errors import is_foreign
from clusternet.patches.bands import Bands
from clusternet.settings import TrainingSettings

COLUMN = "run"
"""The column of ``history.csv``, and the name in JSON and npz files, that holds it."""
MAY_CHANGE = ("num_epochs", "workers")
"""Settings that may change when a run is resumed."""
_COMMENT = re.compile(r"# run ([0-9a-f]{16})\s*$")


def run_identity(settings: TrainingSettings, bands: Bands, first_codebook: str) -> str:
    """Return a name that tells a run from all that were given anything else.

    Args:
        settings: of the run; those that may change when it is resumed do not count.
        bands: statistics of its patches.
        first_codebook: identity of the codebook that it starts from.
    """
    values = [
        # a whole number in a call is a float on the command line: 8 and 8.0 are one value
        (name, float(value) if isinstance(value, int | float) else value)
        for name, value in settings.to_mapping().items()
        if name not in MAY_CHANGE
    ]
    return hashlib.sha256(repr((values, bands, first_codebook)).encode()).hexdigest()[:16]


def as_comment(identity: str) -> str:
    """Return the line of ``settings.yaml`` that states an identity; empty without one."""
    return f"# run {identity}\n" if identity else ""


def _of_yaml(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as text:
        comment = _COMMENT.match(text.readline())
    return comment[1] if comment else ""


def _of_json(path: Path) -> str:
    return str(json.loads(path.read_text(encoding="utf-8")).get(COLUMN, ""))


def _of_arrays(path: Path) -> str:
    with path.open("rb") as stream:
        values = np.load(stream, allow_pickle=False)
        return str(values[COLUMN]) if COLUMN in values else ""


def _of_table(path: Path) -> str:
    with path.open(newline="", encoding="utf-8", errors="replace") as text:
        return next(csv.DictReader(text), {}).get(COLUMN) or ""


_READERS: dict[str, Callable[[Path], str]] = {
    ".yaml": _of_yaml, ".json": _of_json, ".npz": _of_arrays, ".csv": _of_table,
}  # fmt: skip


def stated_identity(path: Path) -> str:
    """Return the identity that a file of a run states.

    Returns:
        an empty text if the file states none, as in runs of earlier versions. So it does if the
        file is missing or damaged: reading its content refuses that with a better message.
    """
    try:
        return _READERS[path.suffix](path)
    except (ValueError, TypeError, AttributeError, LookupError, EOFError, RuntimeError):
        return ""
    except Exception as error:
        if not is_foreign(error):
            raise
        return ""


def check_identity(folder: Path, names: Iterable[str]) -> None:
    """Refuse files of different runs in one folder.

    Raises:
        RunError: naming two of them.
    """
    stated = {name: identity for name in names if (identity := stated_identity(folder / name))}
    first = next(iter(stated), "")
    for name, identity in stated.items():
        if identity != stated[first]:
            raise RunError(
                f"{folder}: {first} and {name} are of different runs; bring back the files of one "
                "run, or train anew with --overwrite."
            )
