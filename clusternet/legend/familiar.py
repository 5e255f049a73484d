"""The colours that maps usually give to classes, found by the names of the classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from clusternet.colour_vision import as_seen, distances
from clusternet.colours import RGB, palette
from clusternet.legend.familiar_words import kind_of
from clusternet.types import FloatArray

# Hues as on topographic maps. The lightness of each is chosen such that colour-blind people can
# tell all of them apart, and also from the light grey of nodata and the grey of unknown.
COLOURS: dict[str, RGB] = {
    "water": (40, 90, 230), "forest": (20, 70, 30), "tree": (78, 151, 40), "road": (64, 64, 70),
    "roof": (232, 60, 25), "building": (140, 10, 100), "grass": (164, 210, 95),
    "field": (250, 215, 60), "bare": (208, 145, 112), "snow": (205, 240, 255),
    "wetland": (40, 180, 195),
}  # fmt: skip
"""The colour of each kind of land cover."""
UNKNOWN, UNKNOWN_COLOUR = "unknown", (128, 128, 128)
"""The class of clusters of which nothing is known."""

_ENOUGH = 9.0  # distance in CIELAB at which two colours are told apart on a map
_SHADES = (1, 0.75, 1.3, 0.55, 1.6, 0.4)  # of a colour that another class has: darker and lighter
_FIRST_BY_NUMBER = 64  # numbers below prefer the colour of their number, whichever others occur


def familiar_colour(name: str) -> RGB | None:
    """Return the colour that maps give to what a class name means; None if it says nothing."""
    if name.lower() == UNKNOWN:
        return UNKNOWN_COLOUR
    kind = kind_of(name)
    return None if kind is None else COLOURS[kind]


def class_colours(
    names: Mapping[int, str], stated: Mapping[int, RGB] | None = None
) -> dict[int, RGB]:
    """Choose the colours of classes.

    A class has the colour that a file or a legend states. Else it has the colour that maps give to
    what its name means, or a shade of it if another class has that colour. Other classes get
    colours of `clusternet.colours.palette` that differ from these.

    Args:
        names: the name of each class number.
        stated: colours that are known.

    Returns:
        the colour of each class in ``names``.
    """
    chosen = {number: colour for number, colour in (stated or {}).items() if number in names}
    seen = as_seen(np.array(list(chosen.values())))
    for number in sorted(names.keys() - chosen.keys()):
        familiar = familiar_colour(names[number])
        if familiar is None:
            continue
        for shade in _shades(familiar):
            of_shade = as_seen(np.array(shade))
            if _differ(of_shade, seen)[0]:
                chosen[number] = shade
                seen = np.concatenate([seen, of_shade], axis=1)
                break
    chosen |= _others(names, chosen, seen)
    return {number: chosen[number] for number in sorted(names)}


def _others(
    names: Iterable[int], chosen: Mapping[int, RGB], seen: FloatArray
) -> Iterator[tuple[int, RGB]]:
    """Yield a colour of the palette for each number without one; ``seen`` are those chosen."""
    places = {number: place for number, place in _places(names).items() if number not in chosen}
    colours = palette(2 * len(places) + _FIRST_BY_NUMBER)
    free = _differ(as_seen(colours), seen)
    wanted = set(places.values())
    spare = iter([place for place in np.flatnonzero(free).tolist() if place not in wanted])
    for number, place in places.items():
        red, green, blue = colours[place if free[place] else next(spare, place)].tolist()
        yield number, (red, green, blue)


def _places(numbers: Iterable[int]) -> dict[int, int]:
    """Return the place in the palette that each class number prefers: small ones their own."""
    ordered = sorted(numbers)
    if max(ordered, default=0) < _FIRST_BY_NUMBER:
        return {number: number for number in ordered}
    return {number: rank for rank, number in enumerate(ordered)}


def _differ(seen: FloatArray, others: FloatArray) -> list[bool]:
    """Tell which colours differ enough from all others."""
    if not others.shape[1]:
        return [True] * seen.shape[1]
    apart: list[bool] = (distances(seen, others).min(axis=1) >= _ENOUGH).tolist()
    return apart


def _shades(colour: RGB) -> Iterator[RGB]:
    """Yield a colour, then darker and lighter shades of it."""
    for factor in _SHADES:
        red, green, blue = (
            round(part * factor if factor <= 1 else 255 - (255 - part) / factor) for part in colour
        )
        yield red, green, blue
