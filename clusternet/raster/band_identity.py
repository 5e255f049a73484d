"""Which band is which: what files say of their bands, and whether two of them agree."""

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
"""Colour interpretations that say which band it is; grey and undefined do not."""
_TOKEN = re.compile(
    r"(?<![a-z0-9])(?:b(?:and)?[ _-]?\d+a?|" + "|".join(_COLOURS) + r"|vv|vh|hh|hv)(?![a-z0-9])"
)
_NEAR_NM = 5.0  # central wavelengths of one band differ between two sensors of a kind
_NEAR = 0.01

Words = tuple[str | None, ...]


class BandsDifferError(Exception):
    """Two files contradict each other in what they say of their bands."""

    def __init__(self, kind: str) -> None:
        """Remember in what: ``descriptions``, ``wavelengths_nm`` or ``colours``."""
        super().__init__(f"their {kind} differ")
        self.kind = kind


@dataclass(frozen=True)
class Arrangement:
    """How the bands of a raster are brought to what is known of them."""

    order: tuple[int, ...] | None = None
    """Which band of the raster is read as the first, second, ... one; None as they stand."""
    factors: tuple[float, ...] | None = None
    """With ``shifts``: value = pixel * factor + shift, for each band in the new order; None if
    pixels are taken as they are."""
    shifts: tuple[float, ...] | None = None

    @property
    def is_trivial(self) -> bool:
        """True if bands are read as they stand."""
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
    """What a file says of its bands, a value for each; empty where it says nothing."""

    descriptions: Words = ()
    wavelengths_nm: tuple[float | None, ...] = ()
    """Central wavelengths, nanometres."""
    colours: Words = ()
    """Colour interpretation such as ``red``; None where it is grey or undefined."""
    scales: tuple[float, ...] = ()
    """With ``offsets``: the value of a pixel in its units is pixel * scale + offset."""
    offsets: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> BandIdentity:
        """Read what `to_json` wrote; nothing is stated in files of earlier versions.

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
        """Return plain values, without what is not stated."""
        return {name: list(value) for name, value in asdict(self).items() if value}

    def filled_from(self, other: BandIdentity) -> BandIdentity:
        """Return the same, with what only ``other`` says."""
        own, more = asdict(self), asdict(other)
        return BandIdentity(**{name: own[name] or more[name] for name in own})

    def in_order(self, order: Sequence[int]) -> BandIdentity:
        """Return what is said of the bands ``order``, from 0 on."""
        values = asdict(self).items()
        return BandIdentity(**{k: tuple(v[i] for i in order) if v else () for k, v in values})

    def named(self, kind: str) -> str:
        """Name the bands for a message, by ``descriptions``, ``wavelengths_nm`` or ``colours``."""
        words = _nm(self.wavelengths_nm) if kind == "wavelengths_nm" else getattr(self, kind)
        return short(printable(", ".join(word or "?" for word in words)), 60)

    def arrange(self, other: BandIdentity) -> Arrangement:
        """Return how the bands of ``other`` are to be read so that they are these bands.

        What only one of the two says is believed: there is nothing to compare.

        Raises:
            BandsDifferError: if they contradict each other.
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
        """Tell whether only one of two files says how pixels become values."""
        return bool(self.scales) != bool(other.scales)


NOTHING_STATED = BandIdentity()
_FIELDS = ("descriptions", "wavelengths_nm", "colours", "scales", "offsets")


def _list(values: Mapping[str, Any], field: int) -> list[Any]:
    found = values.get(_FIELDS[field]) or []
    if not isinstance(found, list):
        raise ValueError(f"{_FIELDS[field]}: expected a list")
    return found


def _nm(wavelengths: Sequence[float | None]) -> Words:
    return tuple(None if value is None else f"{value:g} nm" for value in wavelengths)


def _order(known: BandIdentity, other: BandIdentity) -> tuple[int, ...] | None:
    """Return the order in which bands of ``other`` are the known ones; None as they stand."""
    by_text = _by_text(known.descriptions, other.descriptions)
    by_wavelength = _by_wavelength(known.wavelengths_nm, other.wavelengths_nm)
    by_colour = _match(_colours(known), _colours(other))
    matches = {"descriptions": by_text, "wavelengths_nm": by_wavelength, "colours": by_colour}
    if by_wavelength is not None and not by_wavelength.is_contradiction:
        del matches["descriptions"]  # which may be other words for the same bands
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
    """False if it does not speak of every band."""
    is_contradiction: bool = False


_CONTRADICTION = _Match(is_contradiction=True)


def _by_text(known: Words, other: Words) -> _Match | None:
    """Match descriptions: as they stand, without what all share, and by the band that they name.

    Descriptions are free text, and often begin with the name of their file.
    """
    found = None
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
        found = found or match
    return found


def _match(known: Words, other: Words) -> _Match | None:
    if not any(known) or not any(other) or len(known) != len(other):
        return None
    pairs = list(zip(known, other, strict=True))
    if any(k != o if k and o else k and k in other for k, o in pairs):
        return _permutation(known, other)
    num_both = sum(bool(k and o) for k, o in pairs)
    return _Match(is_complete=num_both == len(known)) if num_both else None


def _permutation(known: Words, other: Words) -> _Match:
    """Match words that stand in another order.

    Bands without a word stay where neither side has one. One alone may move: it is what is left.
    """
    moved = [i for i, pair in enumerate(zip(known, other, strict=True)) if any(pair)]
    wanted, there = [known[i] for i in moved], [other[i] for i in moved]
    is_unclear = None in wanted and known.count(None) > 1
    if is_unclear or len(set(wanted)) < len(wanted) or set(wanted) != set(there):
        return _CONTRADICTION
    order = list(range(len(known)))
    for i in moved:
        order[i] = moved[there.index(known[i])]
    return _Match(tuple(order))


def _plain(words: Words) -> Words:
    return tuple(word and " ".join(word.casefold().split()) for word in words)


def _distinct(words: Words) -> Words:
    """Return words without the parts that all of them begin and end with."""
    parts = [re.split(r"[ _.:/-]+", word) for word in _plain(words) if word]
    if len(parts) < len(words) or len({tuple(of_one) for of_one in parts}) < 2:
        return (None,) * len(words)
    for end in (0, -1):
        while min(map(len, parts)) > 1 and len({of_one[end] for of_one in parts}) == 1:
            for of_one in parts:
                del of_one[end]
    return tuple(" ".join(of_one) for of_one in parts)


def _tokens(words: Words) -> Words:
    """Return the band that each text names, such as B02; all None if one names none."""
    found = [_TOKEN.findall(word) if word else [] for word in _plain(words)]
    if any(len(tokens) != 1 for tokens in found):
        return (None,) * len(words)
    names = (re.sub(r"[ _-]", "", tokens[0]) for tokens in found)
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
    place = dict(zip(ranks, others, strict=True))
    return _Match(tuple(place[i] for i in range(len(first))))


def _is_near(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=_NEAR, abs_tol=_NEAR_NM)


def _colours(identity: BandIdentity) -> Words:
    """Return the colour of each band: what its description says, or its interpretation."""
    count = max(len(identity.descriptions), len(identity.colours))
    described = _plain(identity.descriptions) or (None,) * count
    shown = identity.colours or (None,) * count
    if any(word in _COLOURS for word in described):
        return tuple(word if word in _COLOURS else None for word in described)
    return tuple(shown)


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
    if all(abs(f - 1) < 1e-9 and abs(s) < 1e-6 for f, s in changes):
        return None, None
    factors, shifts = zip(*changes, strict=True)
    return factors, shifts
