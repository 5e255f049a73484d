"""The classes of a class map: number, name and colour."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusternet.colours import RGB
from clusternet.errors import LabelError
from clusternet.legend.familiar import UNKNOWN, UNKNOWN_COLOUR, class_colours
from clusternet.legend.names import clean_name, warn_of_near_twins
from clusternet.messages import short, short_value
from clusternet.text_files import read_json

MAX_CLASS = 65534
"""The highest class number: one value of a 16-bit map is needed for nodata."""
_NUMBER = re.compile("[0-9]{1,5}")


@dataclass(frozen=True)
class LandClass:
    """One class of a class map."""

    number: int
    """Its pixel value."""
    name: str
    """Its name, normalised by `clusternet.legend.names.clean_name`."""
    colour: RGB
    """Red, green and blue, 0 to 255."""

    def __post_init__(self) -> None:
        """Bring the name into the form that all files can hold."""
        # the dataclass is frozen, so its fields can be set only in this way
        object.__setattr__(self, "name", clean_name(self.name))


def make_classes(
    numbers: Iterable[int],
    names: Mapping[int, str] | None = None,
    colours: Mapping[int, RGB] | None = None,
) -> dict[int, LandClass]:
    """Return classes by number, with default names and colours where none are given.

    See `clusternet.legend.familiar.class_colours` for the colours.
    """
    names = names or {}
    known = {number: names.get(number, f"class {number}") for number in sorted(set(numbers))}
    chosen = class_colours(known, colours)
    return {number: LandClass(number, name, chosen[number]) for number, name in known.items()}


def unknown_class(classes: Mapping[int, LandClass]) -> LandClass:
    """Return the class of clusters that no label touches: one called unknown, or a new one."""
    for land_class in classes.values():
        if land_class.name.lower() == UNKNOWN:
            return land_class
    number = max(classes, default=-1) + 1
    if number > MAX_CLASS:
        number = next(free for free in range(MAX_CLASS) if free not in classes)
    return LandClass(number, UNKNOWN, UNKNOWN_COLOUR)


def read_class_names(path: Path) -> dict[int, str]:
    """Read ``classes.json``: ``{"0": "building", "1": "road"}``.

    Raises:
        LabelError: if the file is missing or of another form.
    """
    values = read_json(path, LabelError, _distinct)
    form = 'expected {"0": "building", "1": "road", ...}'
    if not isinstance(values, dict) or not values:
        raise LabelError(f"{path}: {form}.")
    names: dict[int, str] = {}
    for key, value in values.items():
        name = clean_name(value, path) if isinstance(value, str) else ""
        if not (_NUMBER.fullmatch(key) and int(key) <= MAX_CLASS and name):
            entry = f'"{short_value(key, 20)}": {short(json.dumps(value))}'
            raise LabelError(f"{path}: {form}, with numbers up to {MAX_CLASS}, found {entry}.")
        if int(key) in names:
            raise LabelError(f"{path}: names the class {int(key)} twice.")
        names[int(key)] = name
    if len(set(names.values())) < len(names):
        raise LabelError(f"{path}: two classes have the same name; rename one.")
    warn_of_near_twins(names.values(), path)
    return names


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the entries of a JSON object; ValueError if two have the same key."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("it has two entries of the same key")
    return values
