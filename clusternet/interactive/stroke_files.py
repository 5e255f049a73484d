"""Strokes on disk: GeoPackage or GeoJSON in the coordinates of the map."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import shapely
from affine import Affine

from clusternet.errors import GridMismatchError, LabelError
from clusternet.files import new_file
from clusternet.interactive.session import Drawing, named_classes
from clusternet.interactive.strokes import Stroke
from clusternet.land_classes import RGB, LandClass, make_classes
from clusternet.raster import RasterProfile
from clusternet.types import AnyArray
from clusternet.vectors import read_shapes

logger = logging.getLogger(__name__)

LAYER = "strokes"
_DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".json": "GeoJSON"}
_MIN_WIDTH = 1.0  # pixels


@dataclass(frozen=True)
class Place:
    """Where pixels lie: what strokes need to know of a raster."""

    shape: tuple[int, int]
    transform: Affine
    """(col, row) to the coordinates that strokes are stored in."""
    crs: str | None
    """WKT"""
    name: str
    """Of the raster, for messages."""
    is_georeferenced: bool = True

    @classmethod
    def of(cls, profile: RasterProfile) -> Place:
        """Take it from a raster; without georeference GIS programs let y grow upwards."""
        flipped = profile.transform if profile.is_georeferenced else Affine.scale(1, -1)
        crs = None if profile.crs is None else profile.crs.to_wkt()
        return cls(profile.shape, flipped, crs, str(profile.path), profile.is_georeferenced)

    @property
    def pixel_size(self) -> float:
        """Side of a pixel in units of the coordinates."""
        return float(abs(self.transform.determinant) ** 0.5)


def write_strokes(path: Path, drawing: Drawing, place: Place, *, overwrite: bool = True) -> None:
    """Write strokes with the number, name and colour of their class and their width.

    The width is in units of the coordinates, so that it holds on other rasters too.

    Raises:
        LabelError: if the ending is neither .gpkg nor .geojson.
        OutputError: if the file cannot be written.
    """
    driver = _DRIVERS.get(path.suffix.lower())
    if driver is None:
        raise LabelError(f"{path}: strokes are written as .gpkg or .geojson.")
    classes = {c.number: c for c in drawing.classes}
    of_strokes = [classes[s.land_class] for s in drawing.strokes]
    frame = geopandas.GeoDataFrame(
        {
            "class": np.array([c.number for c in of_strokes], np.int32),
            "name": np.array([c.name for c in of_strokes], object),
            "colour": np.array([as_hex(c.colour) for c in of_strokes], object),
            "width": np.array([s.width * place.pixel_size for s in drawing.strokes], float),
        },
        geometry=_moved([s.geometry for s in drawing.strokes], place.transform),
        crs=place.crs,
    )
    options = {"VERSION": "1.2"} if driver == "GPKG" else {}
    with new_file(path, overwrite=overwrite) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        pyogrio.write_dataframe(
            frame, part, layer=LAYER, driver=driver, geometry_type="Unknown",
            dataset_options=options,
        )  # fmt: skip


def read_strokes(
    path: Path,
    place: Place,
    *,
    names: Mapping[int, LandClass] | None = None,
    class_field: str | None = None,
    layer: str | None = None,
) -> Drawing:
    """Read strokes, or any points, lines and areas with a class, onto a raster.

    Args:
        path: vectors in any CRS; those of `write_strokes` bring names, colours and widths.
        place: of the raster.
        names: classes with names and colours that win over those in the file.
        class_field: field that holds the class (default: ``class``).
        layer: of files that hold several.

    Raises:
        LabelError: if there are no shapes, or none with a class.
        GridMismatchError: if none lies on the raster.
    """
    shapes = read_shapes(path, class_field=class_field, layer=layer)
    if place.crs is None and _DRIVERS.get(path.suffix.lower()) == "GeoJSON":
        shapes = replace(shapes, crs=None)  # GeoJSON cannot say that it has none
    details = _details(path, layer, class_field, dict(shapes.names))
    geometries = shapes.onto(place.crs, place.name).geometries
    back = ~place.transform
    if not place.is_georeferenced and shapes.bounds[1] + shapes.bounds[3] > 0:
        back = Affine.scale(1, -1) @ back  # drawn downwards, as images are
    moved = _moved(list(geometries), back)
    rows, cols = place.shape
    on_raster = shapely.intersects(moved, shapely.box(0, 0, cols, rows))
    if not on_raster.any():
        raise GridMismatchError(
            f"{path}: none of its {len(moved)} strokes lies on {place.name}; if they were drawn "
            "on another raster, name that one with --drawn_on."
        )
    if not on_raster.all():
        logger.warning("%s: %d of %d strokes lie outside %s and are left out.",
                       path, int((~on_raster).sum()), len(moved), place.name)  # fmt: skip
    classes = make_classes(set(shapes.classes.tolist()), details.names, details.colours)
    classes |= {number: names[number] for number in classes if names and number in names}
    scale = place.pixel_size
    strokes = tuple(
        Stroke(shape, number, max(details.width / scale, _MIN_WIDTH))
        for shape, number, inside in zip(moved, shapes.classes.tolist(), on_raster, strict=True)
        if inside
    )
    if details.widths is not None and len(details.widths) == len(moved):
        widths = details.widths[on_raster] / scale
        strokes = tuple(
            replace(stroke, width=max(float(width), _MIN_WIDTH))
            for stroke, width in zip(strokes, widths, strict=True)
        )
    return Drawing(named_classes(classes.values()), strokes)


@dataclass(frozen=True)
class _Details:
    names: dict[int, str]
    colours: dict[int, RGB]
    width: float = 0.0
    widths: AnyArray | None = None


def _details(
    path: Path, layer: str | None, class_field: str | None, names: dict[int, str]
) -> _Details:
    """Return what a file says beyond shapes and classes; nothing if others wrote it."""
    frame = geopandas.read_file(path, layer=layer, engine="pyogrio", ignore_geometry=False)
    fields = {str(column).lower(): column for column in frame.columns}
    if class_field is not None or not {"class", "name", "colour", "width"} <= set(fields):
        return _Details(names, {})
    colours: dict[int, RGB] = {}
    for number, name, colour in zip(
        frame[fields["class"]], frame[fields["name"]], frame[fields["colour"]], strict=True
    ):
        if isinstance(name, str) and name:
            names.setdefault(int(number), name)
        if isinstance(colour, str) and (rgb := from_hex(colour)) is not None:
            colours.setdefault(int(number), rgb)
    return _Details(names, colours, widths=frame[fields["width"]].fillna(0).to_numpy(float))


def as_hex(colour: RGB) -> str:
    """Return a colour as #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def from_hex(text: str) -> RGB | None:
    """Return the colour that #rrggbb stands for, None if it is no such text."""
    try:
        values = bytes.fromhex(text.strip().removeprefix("#"))
    except ValueError:
        return None
    return (values[0], values[1], values[2]) if len(values) == 3 else None


def _moved(geometries: list[Any], transform: Affine) -> AnyArray:
    matrix = np.array([[transform.a, transform.b], [transform.d, transform.e]])
    shift = np.array([transform.c, transform.f])
    array = np.array(geometries, object)
    moved: AnyArray = shapely.transform(array, lambda xy: xy @ matrix.T + shift)
    return moved
