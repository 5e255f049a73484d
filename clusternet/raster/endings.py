"""Endings of raster and vector files, and of files that belong to them; how a PNG begins."""

from __future__ import annotations

from pathlib import Path

RASTER_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".vrt", ".jp2")
PNG_START = b"\x89PNG\r\n\x1a\n"
GEOJSON_SUFFIXES = (".geojson", ".json")
VECTOR_SUFFIXES = (".gpkg", ".shp", *GEOJSON_SUFFIXES, ".fgb", ".kml", ".gml")
LABEL_SUFFIXES = (*RASTER_SUFFIXES, *(each for each in VECTOR_SUFFIXES if each != ".json"))
"""Endings of label files in a folder. There a .json is a class list, not a GeoJSON file."""


def _endings(text: str) -> frozenset[str]:
    return frozenset(f".{ending}" for ending in text.split())


ARCHIVES = _endings("7z gz rar tar tgz zip")
OTHER_RASTERS = _endings(
    "adf asc avif bag bil bip bmp bsq bt cub dem dng dt0 dt1 dt2 ecw ers flt gif grb grb2 grd grib "
    "grib2 h4 h5 hdf hdf4 hdf5 he5 heic heif hgt img j2c j2k jfif jpc jpe jpf jpx jxl kea mbtiles "
    "mrf nc nc4 nitf ntf pgm pix pnm ppm psd sdat sid webp xyz"
)
"""Endings of rasters that are not read from folders."""
PARTS = _endings("aux hdr j2w jgw msk ovr pgw prj rpb rrd tfw tifw wld")
"""Endings of files that belong to a raster beside them."""
NO_RASTERS = _endings(
    "bat cfg cpg css csv db dbf doc docx fgb geojson gml gpx htm html ini ipynb js json keras kml "
    "las laz lock log lyr md npy npz ods odt parquet pdf py qgs qgz qmd qml qpj r sbn sbx sh shp "
    "shx sld toml txt xls xlsx xml yaml yml"
)
"""Endings of files that are no rasters, and are not opened to check that."""


def is_vector(path: Path) -> bool:
    """Tell by its suffix whether a file is a vector file."""
    return path.suffix.lower() in VECTOR_SUFFIXES
