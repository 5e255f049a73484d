"""Which of GDAL's drivers may open a file."""

from __future__ import annotations

from pathlib import Path

_PIXELS = (
    "GTiff", "COG", "LIBERTIFF", "PNG", "JPEG", "JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2MrSID",
    "JP2Grok", "JPEGXL", "WEBP", "GIF", "BIGGIF", "BMP", "PNM", "TGA", "HFA", "NITF", "PCIDSK",
)  # fmt: skip
"""Formats whose files hold their pixels themselves."""
LOCAL = (
    *_PIXELS, "ENVI", "EHdr", "GPKG", "MBTiles", "netCDF", "HDF5", "AAIGrid", "GSAG", "GSBG",
    "GS7BG", "SAGA", "ISIS3", "PDS4", "ERS", "RST", "KRO", "SGI", "XYZ", "GRIB", "USGSDEM",
    "SRTMHGT", "DTED", "TSX", "RMF", "VICAR", "CEOS", "MRF",
)  # fmt: skip
"""Formats that are opened to see what a file is: they name no other place."""
_BY_SUFFIX: dict[str, tuple[str, ...]] = {
    ".vrt": ("VRT",),
    **dict.fromkeys((".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2"), _PIXELS),
}


def allowed_drivers(path: Path) -> list[str] | None:
    """Return the drivers that may open a file, by its suffix; None if any may.

    GDAL chooses by content: a text called ``.tif`` could name any other file of this machine, or
    an address in the network, and its pixels would be read. Only a ``.vrt`` may do that. What has
    none of the suffixes that folders are searched for is opened only if the user names it.
    """
    found = _BY_SUFFIX.get(path.suffix.lower())
    return None if found is None else list(found)
