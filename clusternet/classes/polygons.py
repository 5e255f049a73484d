"""Polygons of class maps in a GeoPackage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clusternet.errors import SettingsError
from clusternet.files.outputs import check_new, new_file
from clusternet.files.side_files import check_side_file, new_side_file
from clusternet.legend.land_classes import LandClass
from clusternet.processes.interrupts import interrupts
from clusternet.processes.progress import Progress
from clusternet.raster import open_raster
from clusternet.raster.outlines import Polygons, polygonise
from clusternet.raster.shapes import check_closed, geopackage_kind, layer_names, write_polygons
from clusternet.raster.styles import is_our_style, style_path, write_polygon_style

_AT_ONCE = 50_000  # polygons a write: about a second, after which an interrupt is noticed


@dataclass(frozen=True)
class PolygonOptions:
    """How polygons are cleaned; all sizes are pixels of the map."""

    sieve: int = 0
    """Patches of fewer pixels first take the class of their largest neighbour."""
    min_area: int = 0
    """Polygons of fewer pixels are left out."""
    simplify: float = 0.0
    """Tolerance of simplification; neighbouring polygons still share their border."""

    def __post_init__(self) -> None:
        """Refuse negative sizes."""
        for name in ("sieve", "min_area", "simplify"):
            if not getattr(self, name) >= 0:
                raise SettingsError(
                    f"--{name}: expected a number of pixels, 0 or more, received "
                    f"{getattr(self, name)}."
                )


POLYGONS = geopackage_kind("polygons")


def check_new_polygons(path: Path, *, overwrite: bool) -> None:
    """Refuse a GeoPackage that exists, or whose style of ours does, before any work is done.

    Raises:
        OutputError: if one exists and ``overwrite`` is false, or is not ours.
    """
    check_new(path, kind=POLYGONS, overwrite=overwrite)
    check_closed(path)
    check_side_file(style_path(path), is_ours=_is_our_style(path), overwrite=overwrite)


def _is_our_style(path: Path) -> bool:
    unsigned = "renderer-v2" if POLYGONS.owns(path) else ""
    return is_our_style(style_path(path), path, unsigned=unsigned)


def write_class_polygons(
    path: Path,
    class_maps: Sequence[Path],
    classes: Mapping[int, LandClass],
    options: PolygonOptions,
    *,
    overwrite: bool = False,
) -> int:
    """Write the polygons of class maps, a layer for each map, and return their number.

    A layer has the name of its map, or one like it that a GeoPackage takes. Fields are ``class``,
    ``name`` and, where the CRS is projected, ``area_ha``. A style for QGIS with the colours of the
    classes lies beside the file.

    Args:
        path: the GeoPackage.
        class_maps: class maps.
        classes: the classes by number.
        options: what is done to the polygons.
        overwrite: replace an existing GeoPackage of polygons that ClusterNet wrote.

    Raises:
        OutputError: if ``path`` exists and may not be replaced, or cannot be written.
    """
    count = 0
    check_closed(path)
    named = list(zip(class_maps, layer_names(path.stem for path in class_maps), strict=True))
    with new_file(path, kind=POLYGONS, overwrite=overwrite) as unfinished:
        for class_map, layer in Progress(named, desc="polygons", unit="map"):
            count += _write_layer(unfinished, layer, class_map, classes, options)
        style = new_side_file(
            style_path(path), is_ours=_is_our_style(path), overwrite=overwrite,
            lacks="QGIS shows the new polygons as it says",
        )  # fmt: skip
        with style as unfinished_style:  # inside: neither appears without the other
            if unfinished_style is not None:
                entries = [(number, each.name, each.colour) for number, each in classes.items()]
                write_polygon_style(unfinished_style, path, "class", entries)
    return count


def _write_layer(
    path: Path,
    layer: str,
    class_map: Path,
    classes: Mapping[int, LandClass],
    options: PolygonOptions,
) -> int:
    """Write the polygons of a map as a layer, and return their number."""
    count = 0
    with open_raster(class_map, codes=True) as raster:
        crs = raster.profile.crs
    found = polygonise(
        class_map, sieve=options.sieve, min_area=options.min_area, simplify=options.simplify
    )
    # GDAL's files must be closed by the thread that has opened them, also after an error
    with closing(found) as windows:
        pieces = (piece for polygons in windows for piece in polygons.split(_AT_ONCE))
        for index, piece in enumerate(pieces):
            interrupts.check()
            write_polygons(
                path,
                layer,
                piece.geometries,
                _fields(piece, classes),
                None if crs is None else crs.to_wkt(),
                tag="polygons",
                append=index > 0,
            )
            count += len(piece.classes)
    return count


def _fields(polygons: Polygons, classes: Mapping[int, LandClass]) -> dict[str, Any]:
    names = [classes[number].name for number in polygons.classes.tolist()]
    fields = {"class": polygons.classes, "name": np.array(names, object)}
    if polygons.area_ha is not None:
        fields["area_ha"] = polygons.area_ha
    return fields
