"""The valid mask of a raster: from alpha bands, masks, nodata values and NaN."""

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

_EXACT = 2**53  # rasterio gives nodata values as floats, which are exact only up to here


@dataclass(frozen=True)
class Validity:
    """How the valid mask of a raster is computed.

    A pixel is not valid if an alpha band, a mask of the whole file or a transparent colour hides
    it, or if any band is NaN. Nodata values and masks of single bands are combined by ``rule``.
    All of these are combined; none replaces another.
    """

    markers: tuple[Number | None, ...]
    """Nodata value of each band that is read, None where it has none."""
    rule: NodataRule
    """Whether a pixel is nodata if ``any`` or if ``all`` of its bands are."""
    alpha: tuple[int, ...]
    """Numbers of the alpha bands, from 1."""
    common_mask: int | None
    """Number of a band whose mask holds for all bands; None if there is no such mask."""
    own_masks: Mapping[int, int]
    """Index among the bands that are read -> band number, for bands with a mask of their own."""

    @property
    def has_mask(self) -> bool:
        """True if an alpha band or a mask marks pixels."""
        return bool(self.alpha) or self.common_mask is not None or bool(self.own_masks)

    @property
    def nodata(self) -> Number | None:
        """The nodata value that all bands share, None if they do not."""
        first = self.markers[0]
        return first if all(str(marker) == str(first) for marker in self.markers) else None

    def read(self, dataset: DatasetReader, window: RasterioWindow, bands: AnyArray) -> BoolArray:
        """Return the valid mask of a window, (rows, cols).

        Args:
            dataset: the dataset that this was made from.
            window: a window of it.
            bands: the pixels of the window (bands, rows, cols), perhaps at a coarser resolution.
        """
        where: dict[str, Any] = {"window": window, "out_shape": bands.shape[1:]}
        own = {
            index: dataset.read_masks(number, **where) > 0
            for index, number in self.own_masks.items()
        }
        valid = valid_pixels(bands, self.markers, self.rule, own)
        for number in self.alpha:
            valid &= dataset.read(number, **where) > 0
        if self.common_mask is not None:
            valid &= dataset.read_masks(self.common_mask, **where) > 0
        return valid


def find_validity(
    dataset: DatasetReader,
    numbers: Sequence[int],
    dtype: str,
    choice: NodataChoice,
    *,
    shows_palette: bool = False,
) -> Validity:
    """Find out how the valid mask of an open dataset is computed.

    Args:
        dataset: an open dataset.
        numbers: of the bands that are read, from 1.
        dtype: pixel type of its bands without alpha.
        choice: nodata value and rule of the user.
        shows_palette: True if pixels are read as red, green and blue of a colour table, which
            already handles the nodata value of the file.
    """
    alpha = alpha_bands(dataset)
    # read once, because rasterio asks GDAL for all bands at each use
    all_flags, all_values = dataset.mask_flag_enums, dataset.nodatavals
    flags = [all_flags[i - 1] for i in numbers]
    common = next((i for i, f in zip(numbers, flags, strict=True) if _is_common_mask(f)), None)
    # GDAL gives a band no flag at all if it has a mask of its own
    own_masks = {index: i for index, i in enumerate(numbers) if not flags[index]}
    values = [fitting(all_values[i - 1], dtype) for i in numbers]
    if common is not None and MaskFlags.nodata in flags[numbers.index(common)]:
        # PNG with a transparent colour: GDAL makes the mask from the nodata values of all bands
        values = [None] * len(numbers)
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
        values = [None if index in own_masks else v for index, v in enumerate(values)]
    rule = choice.rule or ("any" if own_masks else default_rule(dtype, values))
    return Validity(tuple(values), rule, alpha, common, own_masks)


def alpha_bands(dataset: DatasetReader) -> tuple[int, ...]:
    """Return the numbers of the alpha bands, from 1."""
    return tuple(i for i, c in enumerate(dataset.colorinterp, 1) if c == ColorInterp.alpha)


def _is_common_mask(flags: Sequence[MaskFlags]) -> bool:
    return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags


def _not_exact(
    numbers: Sequence[int], flags: Sequence[Sequence[MaskFlags]], values: Sequence[Number | None]
) -> dict[int, int]:
    """Return the bands whose nodata value is too large for a float, as index -> band number.

    Their masks are read from GDAL, which compares 64-bit numbers exactly.
    """
    return {
        index: number
        for index, (number, flag, value) in enumerate(zip(numbers, flags, values, strict=True))
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
    """Return the valid mask (rows, cols) from pixel values and masks of single bands.

    Args:
        bands: (bands, rows, cols).
        markers: nodata value of each band, which its type can hold, or None.
        rule: whether a pixel is nodata if ``any`` or if ``all`` of its bands are.
        own_masks: index of a band -> (rows, cols), True where it has data.
    """
    valid = np.ones(bands.shape[1:], np.bool_)
    if bands.dtype.kind == "f":
        # NaN or infinity in one band would spread to all features of the pixel
        np.isfinite(bands).all(axis=0, out=valid)
    masks = [
        _band_has_data(band, marker, (own_masks or {}).get(index))
        for index, (band, marker) in enumerate(zip(bands, markers, strict=True))
        if marker is not None or index in (own_masks or {})
    ]
    if rule == "any" and masks:
        valid &= np.logical_and.reduce(masks)
    elif rule == "all" and len(masks) == len(bands):  # any other band has data everywhere
        valid &= np.logical_or.reduce(masks)
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
    """Return a nodata value as a pixel type can hold it, None if it cannot."""
    if value is None:
        return None
    if np.dtype(dtype).kind == "f":
        # a finite value that overflows float32 to infinity cannot occur in the pixels
        with np.errstate(over="ignore"):
            held = np.asarray(float(value)).astype(dtype)
        return None if np.isinf(held) and math.isfinite(value) else value
    if not math.isfinite(value) or value != int(value):
        return None
    limits = np.iinfo(dtype)
    return int(value) if limits.min <= value <= limits.max else None


def check_nodata(value: Number | None, dtype: str, name: object) -> None:
    """Raise RasterError naming ``name`` if a nodata value of the user cannot occur in pixels."""
    if value is None or fitting(value, dtype) is not None:
        return
    is_float = np.dtype(dtype).kind == "f"
    limits = np.finfo(dtype) if is_float else np.iinfo(dtype)
    expected = "a number" if is_float else "a whole number"
    raise RasterError(
        f"{name}: nodata value {value}, of --nodata or of the run, cannot occur in {dtype} pixels; "
        f"expected {expected} from {limits.min} to {limits.max}."
    )
