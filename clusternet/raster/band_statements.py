"""Read the metadata of bands: descriptions, wavelengths, colours and scales."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from clusternet.raster.band_identity import BandIdentity

_T = TypeVar("_T")
_SILENT = {ColorInterp.undefined, ColorInterp.gray, ColorInterp.palette, ColorInterp.alpha}
"""Colour interpretations that do not identify a band."""
_TO_NM = {
    "um": 1000.0, "micrometers": 1000.0, "micrometer": 1000.0, "microns": 1000.0, "micron": 1000.0,
    "nm": 1.0, "nanometers": 1.0, "nanometer": 1.0,
}  # fmt: skip


def read_band_identity(dataset: DatasetReader, indexes: Sequence[int]) -> BandIdentity:
    """Read the metadata of the bands ``indexes``, numbered from 1."""
    # Read once: each of these properties of rasterio asks GDAL for all bands at every use.
    all_scales, all_offsets, all_texts = dataset.scales, dataset.offsets, dataset.descriptions
    all_colours = dataset.colorinterp
    scales = tuple(float(all_scales[i - 1]) for i in indexes)
    offsets = tuple(float(all_offsets[i - 1]) for i in indexes)
    is_scaled = any(scale != 1 for scale in scales) or any(offsets)
    colours = [all_colours[i - 1] for i in indexes]
    return BandIdentity(
        descriptions=_stated(all_texts[i - 1] or None for i in indexes),
        wavelengths_nm=_stated(_wavelength(dataset, i) for i in indexes),
        colours=_stated(None if colour in _SILENT else colour.name for colour in colours),
        scales=scales if is_scaled else (),
        offsets=offsets if is_scaled else (),
    )


def _stated(values: Iterable[_T | None]) -> tuple[_T | None, ...]:
    stated = tuple(values)
    return stated if any(value is not None for value in stated) else ()


def _wavelength(dataset: DatasetReader, index: int) -> float | None:
    """Return the central wavelength of a band in nanometres, None if it is not stated."""
    # GDAL's domain IMAGERY is in micrometres by definition; tags of ENVI files state a unit
    if micrometres := dataset.tags(index, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM"):
        return _number(micrometres, 1000.0)
    tags = {name.lower(): value for name, value in dataset.tags(index).items()}
    unit = tags.get("wavelength_units", tags.get("wavelength_unit", "")).lower()
    return _number(tags.get("wavelength", ""), _TO_NM.get(unit))


def _number(text: str, factor: float | None) -> float | None:
    try:
        return None if factor is None else round(float(text) * factor, 3)
    except ValueError:
        return None
