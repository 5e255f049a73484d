"""Which of GDAL's drivers may open a file."""

from __future__ import annotations

from pathlib import Path

from clusternet.locations import RemotePath
from clusternet.raster.products import ProductPath
from clusternet.raster.stacks import StackedPath

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
"""Formats that may be opened to find out what a file is: they cannot refer to other files."""
_BY_SUFFIX: dict[str, tuple[str, ...]] = {
    ".vrt": ("VRT",),
    **dict.fromkeys((".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2"), _PIXELS),
}


def allowed_drivers(path: Path) -> list[str] | None:
    """Return the drivers that may open a file, by its suffix; None if any may.

    GDAL chooses the driver by content. A text file called ``.tif`` could refer to another file of
    this machine or to a network address, whose pixels GDAL would read. Only a ``.vrt`` may do so.
    Files with other suffixes are opened by any driver, but only if the user names them.
    """
    if isinstance(path, StackedPath):
        return ["VRT"]
    if isinstance(path, ProductPath):
        return ["SENTINEL2"]
    if isinstance(path, RemotePath):  # nobody has looked at what lies there
        return list(_BY_SUFFIX.get(path.suffix.lower(), LOCAL))
    drivers = _BY_SUFFIX.get(path.suffix.lower())
    return None if drivers is None else list(drivers)
