"""The identity of bands: metadata that files state for their bands, and how to match two files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from clusternet.messages import printable, short
from clusternet.types import AnyArray

_COLOURS = (
    "red", "green", "blue", "pan", "coastal", "rededge", "nir", "swir", "mwir", "lwir", "tir",
    "cyan", "magenta", "yellow", "black", "hue", "saturation", "lightness",
)  # fmt: skip
"""Colour interpretations that identify a band; grey and undefined do not."""
_TOKEN = re.compile(
    r"(?<![a-z0-9])(?:b(?:and)?[ _-]?\d+a?|" + "|".join(_COLOURS) + r"|vv|vh|hh|hv)(?![a-z0-9])"
)
# The same band of two sensors of a kind, such as Sentinel-2A and 2B, differs by some nanometres.
_NEAR_NM = 5.0
_NEAR = 0.01  # relative difference

Words = tuple[str | None, ...]


class BandsDifferError(Exception):
    """The metadata of the bands of two files contradict each other."""

    def __init__(self, kind: str) -> None:
        """Store what differs: ``descriptions``, ``wavelengths_nm`` or ``colours``."""
        super().__init__(f"their {kind} differ")
        self.kind = kind


@dataclass(frozen=True)
class Arrangement:
    """The order and scale in which the bands of a raster are read to match known bands."""

    order: tuple[int, ...] | None = None
    """Index of the raster's band that is read first, second, ...; None keeps their order."""
    factors: tuple[float, ...] | None = None
    """With ``shifts``: value = pixel * factor + shift, for each band in the new order; None keeps
    the pixels."""
    shifts: tuple[float, ...] | None = None

    @property
    def is_trivial(self) -> bool:
        """True if neither order nor scale changes."""
        return self.order is None and self.factors is None

    def apply(self, pixels: AnyArray) -> AnyArray:
        """Return pixels (rows, cols, bands) as arranged; float64 if their scale changes."""
        if self.order is not None:
            pixels = pixels[..., list(self.order)]
        if self.factors is not None:
            pixels = pixels * np.array(self.factors) + np.array(self.shifts)
        return pixels


AS_STORED = Arrangement()


@dataclass(frozen=True)
class BandIdentity:
    """The metadata of bands, a value for each band; empty tuples where a file states nothing."""

    descriptions: Words = ()
    wavelengths_nm: tuple[float | None, ...] = ()
    """Central wavelengths in nanometres."""
    colours: Words = ()
    """Colour interpretation such as ``red``; None where it is grey or undefined."""
    scales: tuple[float, ...] = ()
    """With ``offsets``: the value of a pixel in its units is pixel * scale + offset."""
    offsets: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> BandIdentity:
        """Read what `to_json` wrote; files of earlier versions state nothing.

        Raises:
            ValueError: if a value is of another kind.
        """
        values = values or {}
        return cls(
            descriptions=tuple(None if v is None else str(v) for v in _list(values, 0)),
            wavelengths_nm=tuple(None if v is None else float(v) for v in _list(values, 1)),
            colours=tuple(None if v is None else str(v) for v in _list(values, 2)),
            scales=tuple(float(v) for v in _list(values, 3)),
            offsets=tuple(float(v) for v in _list(values, 4)),
        )

    def to_json(self) -> dict[str, list[Any]]:
        """Return plain values, without empty fields."""
        return {name: list(value) for name, value in asdict(self).items() if value}

    def filled_from(self, other: BandIdentity) -> BandIdentity:
        """Return a copy in which empty fields are taken from ``other``."""
        own, more = asdict(self), asdict(other)
        return BandIdentity(**{name: own[name] or more[name] for name in own})

    def in_order(self, order: Sequence[int]) -> BandIdentity:
        """Return the metadata of the bands with the indexes ``order``, from 0 on."""
        values = asdict(self).items()
        return BandIdentity(**{k: tuple(v[i] for i in order) if v else () for k, v in values})

    def named(self, kind: str) -> str:
        """Name the bands for a message, by ``descriptions``, ``wavelengths_nm`` or ``colours``."""
        words = _nm(self.wavelengths_nm) if kind == "wavelengths_nm" else getattr(self, kind)
        return short(printable(", ".join(word or "?" for word in words)), 60)

    def arrange(self, other: BandIdentity) -> Arrangement:
        """Return the arrangement that reads the bands of ``other`` as these bands.

        Metadata that only one of the two states cannot be compared, and is accepted.

        Raises:
            BandsDifferError: if the metadata contradict each other.
        """
        order = _order(self, other)
        if order is not None:
            other = other.in_order(order)
        factors, shifts = _rescaling(self, other)
        return Arrangement(order, factors, shifts)

    def agrees_with(self, other: BandIdentity) -> bool:
        """Tell whether the bands of ``other`` are these, in this order and at this scale."""
        try:
            return self.arrange(other).is_trivial
        except BandsDifferError:
            return False

    def states_other_scale(self, other: BandIdentity) -> bool:
        """Tell whether only one of the two states a scale."""
        return bool(self.scales) != bool(other.scales)


NOTHING_STATED = BandIdentity()
_FIELDS = ("descriptions", "wavelengths_nm", "colours", "scales", "offsets")


def _list(values: Mapping[str, Any], field: int) -> list[Any]:
    value = values.get(_FIELDS[field]) or []
    if not isinstance(value, list):
        raise ValueError(f"{_FIELDS[field]}: expected a list")
    return value


def _nm(wavelengths: Sequence[float | None]) -> Words:
    return tuple(None if value is None else f"{value:g} nm" for value in wavelengths)


def _order(known: BandIdentity, other: BandIdentity) -> tuple[int, ...] | None:
    """Return the order of the bands of ``other`` that matches the known ones; None if it does."""
    by_text = _by_text(known.descriptions, other.descriptions)
    by_wavelength = _by_wavelength(known.wavelengths_nm, other.wavelengths_nm)
    by_colour = _match(_colours(known), _colours(other))
    matches = {"descriptions": by_text, "wavelengths_nm": by_wavelength, "colours": by_colour}
    if by_wavelength is not None and not by_wavelength.is_contradiction:
        del matches["descriptions"]  # equal wavelengths: the texts may name the bands differently
    for kind, match in matches.items():
        if match is not None and match.is_contradiction:
            raise BandsDifferError(kind)
        if match is not None and match.is_complete:
            return match.order
    return None


@dataclass(frozen=True)
class _Match:
    order: tuple[int, ...] | None = None
    is_complete: bool = True
    """False if it does not cover every band."""
    is_contradiction: bool = False


_CONTRADICTION = _Match(is_contradiction=True)


def _by_text(known: Words, other: Words) -> _Match | None:
    """Match descriptions: whole, without their common beginning and end, or by band names in them.

    Descriptions are free text, and often begin with the name of their file.
    """
    first_match = None
    counts = _is_numbering(known) or _is_numbering(other)
    if counts and not (_are_numbers(_tokens(known)) and _are_numbers(_tokens(other))):
        match = _match(_plain(known), _plain(other))
        return None if match is None or match.is_contradiction else match
    if len(known) == 1 and not any(_tokens(known) + _tokens(other)):
        return None  # free text, perhaps the name of the scene
    for read in (_plain, _distinct, _tokens):
        match = _match(read(known), read(other))
        if match is not None and not match.is_contradiction:
            return match
        first_match = first_match or match
    return first_match


def _match(known: Words, other: Words) -> _Match | None:
    if not any(known) or not any(other) or len(known) != len(other):
        return None
    pairs = list(zip(known, other, strict=True))
    if any(k != o if k and o else k and k in other for k, o in pairs):
        return _permutation(known, other)
    num_both = sum(bool(k and o) for k, o in pairs)
    return _Match(is_complete=num_both == len(known)) if num_both else None


def _permutation(known: Words, other: Words) -> _Match:
    """Match the same words in another order.

    Bands for which neither side has a word keep their position. A single band without a word may
    move, because the others determine its position.
    """
    moved = [i for i, pair in enumerate(zip(known, other, strict=True)) if any(pair)]
    wanted, present = [known[i] for i in moved], [other[i] for i in moved]
    is_unclear = None in wanted and known.count(None) > 1
    if is_unclear or len(set(wanted)) < len(wanted) or set(wanted) != set(present):
        return _CONTRADICTION
    order = list(range(len(known)))
    for i in moved:
        order[i] = moved[present.index(known[i])]
    return _Match(tuple(order))


def _plain(words: Words) -> Words:
    return tuple(word and " ".join(word.casefold().split()) for word in words)


def _distinct(words: Words) -> Words:
    """Return descriptions without the words that all of them begin and end with."""
    split = [re.split(r"[ _.:/-]+", word) for word in _plain(words) if word]
    if len(split) < len(words) or len({tuple(of_one) for of_one in split}) < 2:
        return (None,) * len(words)
    for end in (0, -1):
        while min(map(len, split)) > 1 and len({of_one[end] for of_one in split}) == 1:
            for of_one in split:
                del of_one[end]
    return tuple(" ".join(of_one) for of_one in split)


def _tokens(words: Words) -> Words:
    """Return the band that each text names, such as B02; all None if one text names none."""
    tokens = [_TOKEN.findall(word) if word else [] for word in _plain(words)]
    if any(len(of_one) != 1 for of_one in tokens):
        return (None,) * len(words)
    names = (re.sub(r"[ _-]", "", of_one[0]) for of_one in tokens)
    return tuple(re.sub(r"^b(?:and)?0*(\d)", r"b\1", name) for name in names)


def _are_numbers(tokens: Words) -> bool:
    return all(token and re.fullmatch(r"b\d+a?", token) for token in tokens)


def _is_numbering(words: Words) -> bool:
    """Tell whether descriptions only count the bands, as some programs write them."""
    pattern = r"(?:band|layer|lyr|channel|b)?[ _.:#-]*0*{}"
    pairs = [(word, i) for i, word in enumerate(_plain(words), 1) if word]
    return all(re.fullmatch(pattern.format(i), word) for word, i in pairs)


def _by_wavelength(
    known: tuple[float | None, ...], other: tuple[float | None, ...]
) -> _Match | None:
    first, second = ([v for v in values if v is not None] for values in (known, other))
    if not first or len(first) < len(known) or len(second) != len(first):
        return None
    if all(map(_is_near, first, second)):
        return _Match()
    ranks, others = (sorted(range(len(v)), key=v.__getitem__) for v in (first, second))
    if not all(_is_near(first[i], second[j]) for i, j in zip(ranks, others, strict=True)):
        return _CONTRADICTION
    matching = dict(zip(ranks, others, strict=True))
    return _Match(tuple(matching[i] for i in range(len(first))))


def _is_near(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=_NEAR, abs_tol=_NEAR_NM)


def _colours(identity: BandIdentity) -> Words:
    """Return the colour of each band: from its description, or its colour interpretation."""
    count = max(len(identity.descriptions), len(identity.colours))
    described = _plain(identity.descriptions) or (None,) * count
    shown = identity.colours or (None,) * count
    if any(word in _COLOURS for word in described):
        return tuple(word if word in _COLOURS else None for word in described)
    return tuple(shown)


def shown_bands(identity: BandIdentity, num_bands: int) -> tuple[int, ...]:
    """Return the bands to show as red, green and blue: those of these names, or the first three.

    One or two bands are shown in grey by the first.
    """
    colours = list(_colours(identity))
    wanted = ("red", "green", "blue")
    if len(colours) == num_bands and all(colour in colours for colour in wanted):
        return tuple(colours.index(colour) for colour in wanted)
    return (0, 1, 2) if num_bands >= 3 else (0,)


def _rescaling(
    known: BandIdentity, other: BandIdentity
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return factors and shifts that bring pixels of ``other`` to the known scale, or None."""
    if not known.scales or len(known.scales) != len(other.scales):
        return None, None
    of_known = zip(known.scales, known.offsets, strict=True)
    of_other = zip(other.scales, other.offsets, strict=True)
    changes = [
        (scale / to, (offset - to_offset) / to)
        for (to, to_offset), (scale, offset) in zip(of_known, of_other, strict=True)
    ]
    # scales are stored as text or rounded floats, so they are compared with a tolerance
    if all(abs(f - 1) < 1e-9 and abs(s) < 1e-6 for f, s in changes):
        return None, None
    factors, shifts = zip(*changes, strict=True)
    return factors, shifts
