"""The classes of a class map: number, name and colour."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clusternet.colours import palette
from clusternet.errors import LabelError

MAX_CLASS = 65534
"""The highest class number: one value of a 16-bit map is needed for nodata."""
UNKNOWN = "unknown"
_UNKNOWN_COLOUR = (128, 128, 128)
RGB = tuple[int, int, int]


@dataclass(frozen=True)
class LandClass:
    """One class of a class map."""

    number: int
    """Its pixel value."""
    name: str
    """What people call it."""
    colour: RGB
    """Red, green and blue, 0 to 255."""


def make_classes(
    numbers: Iterable[int],
    names: Mapping[int, str] | None = None,
    colours: Mapping[int, RGB] | None = None,
) -> dict[int, LandClass]:
    """Return classes by number, with names and colours made up where none are given."""
    ordered = sorted(set(numbers))
    names, colours = names or {}, colours or {}
    classes = {}
    for number, made_up in zip(ordered, palette(len(ordered)).tolist(), strict=True):
        red, green, blue = colours.get(number, made_up)
        name = names.get(number, f"class {number}")
        classes[number] = LandClass(number, name, (red, green, blue))
    return classes


def unknown_class(classes: Mapping[int, LandClass]) -> LandClass:
    """Return the class of clusters that no label touches: one called unknown, or a new one."""
    for land_class in classes.values():
        if land_class.name.lower() == UNKNOWN:
            return land_class
    return LandClass(max(classes, default=-1) + 1, UNKNOWN, _UNKNOWN_COLOUR)


def read_class_names(path: Path) -> dict[int, str]:
    """Read ``classes.json``: ``{"0": "building", "1": "road"}``.

    Raises:
        LabelError: if the file is missing or of another form.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise LabelError(f"{path}: is not JSON ({error}).") from error
    form = 'expected {"0": "building", "1": "road", ...}'
    if not isinstance(values, dict) or not values:
        raise LabelError(f"{path}: {form}.")
    names: dict[int, str] = {}
    for key, name in values.items():
        if not (key.isdecimal() and int(key) <= MAX_CLASS and isinstance(name, str)):
            raise LabelError(f'{path}: {form}, found "{key}": {json.dumps(name)}.')
        names[int(key)] = name
    if len(set(names.values())) < len(names):
        raise LabelError(f"{path}: two classes have the same name.")
    return names
