"""Check that the fields of a dataclass hold values of their annotated types."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from clusternet.errors import SettingsError
from clusternet.messages import short_value


def check_types(values: Any, kind: type[Exception], prefix: str = "") -> None:
    """Raise ``kind`` if a field of a dataclass is not of its annotated type.

    An int is accepted for a float, but a bool is no number. Infinity is accepted only if the
    annotation is ``int | float``.

    Args:
        values: a dataclass.
        kind: the error to raise.
        prefix: text before the name of the field in the message.
    """
    hints = get_type_hints(type(values))
    for field in fields(values):
        value, hint = getattr(values, field.name), hints[field.name]
        expected = [words for words, holds in _accepted(hint) if not holds(value)]
        if len(expected) == len(_accepted(hint)):
            raise kind(
                f"{prefix}{field.name}: expected {' or '.join(expected)}, received "
                f"{short_value(value, 60)}."
            )


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    try:
        return isinstance(value, Real) and _is_number(value) and not math.isinf(value)
    except OverflowError:  # an int that is too large for a float
        return False


def _are_whole(value: object, count: int) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == count and all(map(_is_whole, value))


_Test = Callable[[object], bool]
_TESTS: dict[Any, tuple[str, _Test]] = {
    int: ("a whole number", _is_whole),
    float: ("a number", _is_finite),
    int | float: ("a number", _is_number),
    bool: ("yes or no", lambda value: isinstance(value, bool)),
    str: ("text", lambda value: isinstance(value, str)),
    tuple[int, int]: ("two whole numbers", lambda value: _are_whole(value, 2)),
    tuple[int, int, int]: ("three whole numbers", lambda value: _are_whole(value, 3)),
    NoneType: ("nothing", lambda value: value is None),
}


def _accepted(hint: Any) -> list[tuple[str, _Test]]:
    """Return (name, test) of each type that an annotation allows."""
    if hint in _TESTS:
        return [_TESTS[hint]]
    if get_origin(hint) in (Union, UnionType):
        members = get_args(hint)
        numbers = {int, float} & set(members)
        if len(numbers) == 2:
            members = (int | float, *(member for member in members if member not in numbers))
        return [test for member in members for test in _accepted(member)]
    if isinstance(hint, type):
        return [(f"a {hint.__name__}", lambda value: isinstance(value, hint))]
    words = get_args(hint)  # the hint is a Literal
    return [(f"one of {', '.join(words)}", lambda value: value in words)]


def check_seed(seed: int) -> None:
    """Raise SettingsError if random numbers cannot start from this seed."""
    if seed < 0 or seed >= 2**31:
        raise SettingsError(
            f"Setting seed: expected a whole number from 0 to 2147483647, received {seed}."
        )
