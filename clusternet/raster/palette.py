"""Palette images, whose pixels are numbers in a colour table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from clusternet.errors import RasterError
from clusternet.nodata import Number
from clusternet.types import AnyArray, BoolArray, UInt8Array

Colour = tuple[int, int, int, int]


@dataclass(frozen=True)
class Palette:
    """The colour table of an image."""

    table: UInt8Array
    """(entries, 4): red, green, blue and alpha of each number from 0 on."""
    nodata: Number | None
    """The nodata value, which need not be in the table; None for none."""

    @property
    def hides_pixels(self) -> bool:
        """True if some number is nodata or transparent."""
        return self.nodata is not None or not self.table[:, 3].all()

    def colours(self, numbers: AnyArray) -> tuple[UInt8Array, BoolArray, BoolArray]:
        """Look up the colours of pixels.

        Args:
            numbers: (rows, cols) of any type.

        Returns:
            colours (3, rows, cols); visible (rows, cols), False where a pixel is nodata or
            transparent; known (rows, cols), False where its number is not in the table.
        """
        last = len(self.table) - 1
        # both comparisons are False for NaN, which thus is not known
        known = (numbers >= 0) & (numbers <= last)
        entries = np.where(known, numbers, 0).astype(np.intp)
        if numbers.dtype.kind == "f":
            known &= entries == numbers
        rgba = self.table[entries]
        visible = rgba[..., 3] > 0
        if self.nodata is not None:
            visible &= numbers != np.asarray(self.nodata).astype(numbers.dtype)
        if numbers.dtype.kind == "f":
            visible &= ~np.isnan(numbers)
        return np.moveaxis(rgba[..., :3], -1, 0), visible, known


def colour_table(dataset: DatasetReader, band: int) -> dict[int, Colour]:
    """Return the colour table of a band, number -> colour; empty if it has none.

    Some files call a band a palette but have no table. Then its pixels are measurements.
    """
    if dataset.colorinterp[band - 1] != ColorInterp.palette:
        return {}
    try:
        return dict(dataset.colormap(band))
    except ValueError:  # rasterio raises it for a palette band without a table
        return {}


def read_palette(
    dataset: DatasetReader, path: Path, bands: Sequence[int], nodata: Number | None
) -> Palette | None:
    """Return the colour table of a palette image, None for other images.

    Args:
        dataset: an open dataset.
        path: the name of the raster, for messages.
        bands: numbers of its bands without alpha, from 1.
        nodata: the nodata value that the file states.

    Raises:
        RasterError: if one of several bands has a table, or a colour is not from 0 to 255.
    """
    tables = {band: table for band in bands if (table := colour_table(dataset, band))}
    if not tables:
        return None
    band = next(iter(tables))
    if len(bands) > 1:
        raise RasterError(
            f"{path}: band {band} has a colour table but is one of {len(bands)} bands "
            "(pictures of an animation?); expected one band with a table, or none. Take one "
            f"band: gdal_translate -b {band}."
        )
    entries = tables[band]
    # wide integers, because a damaged table may have values that uint8 would wrap around
    colours = np.zeros((max(entries) + 1, 4), np.int64)
    colours[list(entries)] = list(entries.values())
    if (wrong := colours[(colours < 0) | (colours > 255)]).size:
        raise RasterError(
            f"{path}: its colour table holds the value {wrong[0]}; expected 0 to 255. "
            "Remove the table: gdal_translate -colorinterp_1 gray."
        )
    return Palette(colours.astype(np.uint8), nodata)
