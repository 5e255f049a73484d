"""The CRS of a raster for GDAL's sidecar file (``.aux.xml``), where a GeoTIFF cannot hold it.

The keys of GeoTIFF can express many CRSs, but not a rotated pole, a derived CRS or an engineering
CRS. GDAL reads these from the sidecar file, which takes precedence over the keys.
"""

from __future__ import annotations

from functools import lru_cache
from xml.etree.ElementTree import Element, SubElement

import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from clusternet.foreign_errors import is_foreign
from clusternet.raster.control import Control
from clusternet.raster.crs import wkt_of
from clusternet.raster.quiet import quiet_georeferencing


def lost_reference(crs: CRS | None, control: Control | None) -> list[Element]:
    """Return the XML elements for a CRS that a GeoTIFF would lose; empty if it loses nothing."""
    elements = []
    if crs is not None and not _is_kept(wkt_of(crs)):
        definition = Element("SRS")
        definition.text = wkt_of(crs)
        elements.append(definition)
    of_points = control.crs if control is not None and control.points else None
    if control is not None and of_points is not None and not _is_kept(wkt_of(of_points)):
        elements.append(_control_points(control, wkt_of(of_points)))
    return elements


def _control_points(control: Control, wkt: str) -> Element:
    points = Element("GCPList", Projection=wkt)
    for number, (row, col, x, y, z) in enumerate(control.points, 1):
        names = ("Id", "Pixel", "Line", "X", "Y", "Z")
        values = map(repr, (col, row, x, y, z))
        SubElement(points, "GCP", dict(zip(names, (str(number), *values), strict=True)))
    return points


@lru_cache(maxsize=64)
def _is_kept(wkt: str) -> bool:
    """Tell whether a GeoTIFF can hold a CRS, by writing one in memory and reading it."""
    crs = CRS.from_wkt(wkt)
    options = dict(driver="GTiff", height=1, width=1, count=1, dtype="uint8")
    transform = Affine(1e-3, 0, 10, 0, -1e-3, 10)
    try:
        # without PAM, since GDAL would else write the CRS to a sidecar file and read it back
        with rasterio.Env(GDAL_PAM_ENABLED="NO"), quiet_georeferencing(), MemoryFile() as memory:
            with memory.open(**options, crs=crs, transform=transform):
                pass
            with memory.open() as dataset:
                return bool(dataset.crs == crs)
    except Exception as error:
        if is_foreign(error):
            return False
        raise
