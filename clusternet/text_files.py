"""Read text files that users may have edited; each fault becomes an error with one clear line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clusternet.errors import ClusterNetError
from clusternet.foreign_errors import is_foreign, reason
from clusternet.messages import one_line

_WRONG_VALUES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""Exceptions that Python raises when code uses a value of another type or range than expected."""


def read_text(path: Path, kind: type[ClusterNetError]) -> str:
    """Read a UTF-8 text, with or without a byte order mark.

    Raises:
        ClusterNetError: of ``kind``, if it cannot be read or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise kind(f"{path}: is no UTF-8 text; save it in that encoding.") from error
    except OSError as error:
        raise kind(f"{path}: cannot be read ({reason(error)}).") from error


def read_json(
    path: Path,
    kind: type[ClusterNetError],
    make_object: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """Read a JSON file; errors as of `read_text`, also if it is no JSON.

    NaN and Infinity are refused: Python's parser accepts them, but they are not JSON.

    Args:
        path: the file.
        kind: the error to raise.
        make_object: makes an object from its (key, value) pairs, or raises ValueError; None makes
            a dictionary.
    """
    text = read_text(path, kind)
    try:
        return json.loads(text, parse_constant=_no_number, object_pairs_hook=make_object)
    except RecursionError as error:
        raise kind(f"{path}: is no JSON that can be read (nested too deeply).") from error
    except ValueError as error:
        raise kind(f"{path}: is no JSON ({one_line(str(error))}).") from error


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


@contextmanager
def taken_apart(
    kind: type[ClusterNetError],
    message: str,
    advice: str = "",
    more: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Raise ``kind`` if the block fails because values of a file have an unexpected form.

    Args:
        kind: the error to raise.
        message: start of the error: what the file should be, without full stop.
        advice: end of the error: what to do.
        more: further exceptions that mean an unexpected form.
    """
    try:
        yield
    except ClusterNetError:
        raise
    except Exception as error:
        if not (isinstance(error, (*_WRONG_VALUES, *more)) or is_foreign(error)):
            raise
        if isinstance(error, OSError):  # the file cannot be read at all
            raise kind(f"{message} ({reason(error)}).") from error
        cause = f"{type(error).__name__}: {one_line(str(error), 80)}"
        end = f"; {advice}" if advice else "."
        raise kind(f"{message} ({cause}){end}") from error
