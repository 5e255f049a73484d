"""Which pixels of a raster hold data: alpha, masks, nodata values and NaN, band by band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from clusternet.errors import RasterError
from clusternet.nodata import NodataChoice, NodataRule, Number, default_rule
from clusternet.types import AnyArray, BoolArray

_EXACT = 2**53  # up to here a whole number is itself as a float, which rasterio gives


@dataclass(frozen=True)
class Validity:
    """What tells the pixels of a raster that hold data from those that do not.

    What speaks of all bands at once (alpha, a mask of the whole file, a transparent colour)
    counts in any case, and so does NaN in a band. What speaks of single bands (a nodata value or
    a mask of each) counts as ``rule`` says. Nothing takes the place of anything else.
    """

    markers: tuple[Number | None, ...]
    """Nodata value of each band of pixels, None where it has none."""
    rule: NodataRule
    """In how many bands data must be missing."""
    alpha: tuple[int, ...]
    """Numbers of the alpha bands, from 1."""
    common_mask: int | None
    """Number of a band whose mask is that of all bands."""
    own_masks: Mapping[int, int]
    """Place among the bands of pixels -> number of the band, where a band has its own mask."""

    @property
    def has_mask(self) -> bool:
        """True if alpha or a mask marks pixels, beside any value."""
        return bool(self.alpha) or self.common_mask is not None or bool(self.own_masks)

    @property
    def nodata(self) -> Number | None:
        """The nodata value that all bands share, None if they do not."""
        first = self.markers[0]
        return first if all(str(marker) == str(first) for marker in self.markers) else None

    def read(self, dataset: DatasetReader, window: RasterioWindow, bands: AnyArray) -> BoolArray:
        """Tell which pixels of a window hold data.

        Args:
            dataset: what this was made from.
            window: a part of it.
            bands: its pixels (bands, rows, cols), which may be fewer than the window's.

        Returns:
            (rows, cols)
        """
        part: dict[str, Any] = {"window": window, "out_shape": bands.shape[1:]}
        own = {
            place: dataset.read_masks(number, **part) > 0
            for place, number in self.own_masks.items()
        }
        valid = valid_pixels(bands, self.markers, self.rule, own)
        for number in self.alpha:
            valid &= dataset.read(number, **part) > 0
        if self.common_mask is not None:
            valid &= dataset.read_masks(self.common_mask, **part) > 0
        return valid


def find_validity(
    dataset: DatasetReader, dtype: str, choice: NodataChoice, *, shows_palette: bool = False
) -> Validity:
    """Find out what an open dataset and the user say of pixels without data.

    Args:
        dataset: open.
        dtype: of its bands but alpha.
        choice: what the user says.
        shows_palette: pixels are the red, green and blue of a colour table, which has the nodata
            value of the file in it.
    """
    alpha = alpha_bands(dataset)
    numbers = [i for i in dataset.indexes if i not in alpha]
    all_flags, all_values = dataset.mask_flag_enums, dataset.nodatavals  # once: made at each use
    flags = [all_flags[i - 1] for i in numbers]
    common = next((i for i, f in zip(numbers, flags, strict=True) if _is_common_mask(f)), None)
    own_masks = {place: i for place, i in enumerate(numbers) if not flags[place]}
    values = [fitting(all_values[i - 1], dtype) for i in numbers]
    if common is not None and MaskFlags.nodata in flags[numbers.index(common)]:
        values = [None] * len(numbers)  # one colour is transparent: that is the mask
    says_nothing = not alpha and all(MaskFlags.all_valid in f for f in flags)
    if len(own_masks) == 1 == len(numbers):
        common, own_masks = numbers[0], {}
    if shows_palette:
        values, dtype = [None] * 3, "uint8"
    given = fitting(choice.value, dtype)
    if given is not None and (choice.overrides or says_nothing):
        values = [given] * len(values)
    elif dtype in ("int64", "uint64"):
        own_masks |= _not_exact(numbers, flags, values)
        values = [None if place in own_masks else v for place, v in enumerate(values)]
    rule = choice.rule or ("any" if own_masks else default_rule(dtype, values))
    return Validity(tuple(values), rule, alpha, common, own_masks)


def alpha_bands(dataset: DatasetReader) -> tuple[int, ...]:
    """Return the numbers of the bands, from 1, that say how visible pixels are."""
    return tuple(i for i, c in enumerate(dataset.colorinterp, 1) if c == ColorInterp.alpha)


def _is_common_mask(flags: Sequence[MaskFlags]) -> bool:
    return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags


def _not_exact(
    numbers: Sequence[int], flags: Sequence[Sequence[MaskFlags]], values: Sequence[Number | None]
) -> dict[int, int]:
    """Return the bands whose nodata value is too large for a float: GDAL compares it exactly."""
    return {
        place: number
        for place, (number, flag, value) in enumerate(zip(numbers, flags, values, strict=True))
        if MaskFlags.nodata in flag
        and MaskFlags.per_dataset not in flag
        and (value is None or abs(value) >= _EXACT)
    }


def valid_pixels(
    bands: AnyArray,
    markers: Sequence[Number | None],
    rule: NodataRule,
    own_masks: Mapping[int, BoolArray] | None = None,
) -> BoolArray:
    """Tell which pixels hold data, by their values and by masks of single bands.

    Args:
        bands: (bands, rows, cols).
        markers: nodata value of each band, one that its type can hold, or None.
        rule: in how many bands data must be missing.
        own_masks: place of a band -> (rows, cols) True where it has data.

    Returns:
        (rows, cols)
    """
    valid = np.ones(bands.shape[1:], np.bool_)
    if bands.dtype.kind == "f":
        np.isfinite(bands).all(axis=0, out=valid)
    speaking = [
        _band_has_data(band, marker, (own_masks or {}).get(place))
        for place, (band, marker) in enumerate(zip(bands, markers, strict=True))
        if marker is not None or place in (own_masks or {})
    ]
    if rule == "any" and speaking:
        valid &= np.logical_and.reduce(speaking)
    elif rule == "all" and len(speaking) == len(bands):  # any other band has data everywhere
        valid &= np.logical_or.reduce(speaking)
    return valid


def _band_has_data(band: AnyArray, marker: Number | None, mask: BoolArray | None) -> BoolArray:
    has_data = np.ones(band.shape, bool) if mask is None else mask
    if marker is not None and not math.isnan(marker):
        # -3.4e38 written as text is no exact float32: compare in the precision of the band
        has_data = has_data & (band != np.asarray(marker).astype(band.dtype))
    return has_data


def count_infinite(bands: AnyArray, markers: Sequence[Number | None]) -> int:
    """Count the infinite values of (bands, rows, cols) that no nodata value declares."""
    if bands.dtype.kind != "f" or np.isfinite(bands).all():
        return 0
    declared = [m for m in markers if m is not None and math.isinf(m)]
    return int((np.isinf(bands) & ~np.isin(bands, declared)).sum())


def fitting(value: Number | None, dtype: str) -> Number | None:
    """Return a nodata value as pixels of a type can hold it, None if they cannot."""
    if value is None:
        return None
    if np.dtype(dtype).kind == "f":
        with np.errstate(over="ignore"):
            held = np.asarray(float(value)).astype(dtype)
        return None if np.isinf(held) and math.isfinite(value) else value
    if not math.isfinite(value) or value != int(value):
        return None
    limits = np.iinfo(dtype)
    return int(value) if limits.min <= value <= limits.max else None


def check_nodata(value: Number | None, dtype: str, name: object) -> None:
    """Raise RasterError naming ``name`` if a nodata value that the user gave fits no pixel."""
    if value is None or fitting(value, dtype) is not None:
        return
    is_float = np.dtype(dtype).kind == "f"
    limits = np.finfo(dtype) if is_float else np.iinfo(dtype)
    expected = "a number" if is_float else "a whole number"
    raise RasterError(
        f"{name}: nodata value {value}, of --nodata or of the run, cannot occur in {dtype} pixels; "
        f"expected {expected} from {limits.min} to {limits.max}."
    )
