"""Fields of dataclasses that hold what their annotations say, whatever file they come from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from clusternet.messages import short_value


def check_types(values: Any, kind: type[Exception], prefix: str = "") -> None:
    """Refuse a field of a dataclass that is no number, text, choice, ... as annotated.

    Whole numbers stand for fractions too, as in Python; True is no number, and infinity none
    where it is not asked for as ``int | float``.

    Args:
        values: a dataclass.
        kind: the error to raise.
        prefix: before the name of the field, in the message.
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
    except OverflowError:  # a whole number that no fraction comes near to
        return False


def _is_pair(value: object) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_whole, value))


_Test = Callable[[object], bool]
_TESTS: dict[Any, tuple[str, _Test]] = {
    int: ("a whole number", _is_whole),
    float: ("a number", _is_finite),
    int | float: ("a number", _is_number),
    bool: ("yes or no", lambda value: isinstance(value, bool)),
    str: ("text", lambda value: isinstance(value, str)),
    tuple[int, int]: ("two whole numbers", _is_pair),
    NoneType: ("nothing", lambda value: value is None),
}


def _accepted(hint: Any) -> list[tuple[str, _Test]]:
    """Return the words and the test of each kind of value that an annotation allows."""
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
    words = get_args(hint)  # of a Literal
    return [(f"one of {', '.join(words)}", lambda value: value in words)]
