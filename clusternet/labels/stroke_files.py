"""Strokes on disk: GeoPackage or GeoJSON in the coordinates of the map."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine

from clusternet.colours import RGB, as_hex, from_hex
from clusternet.errors import GridMismatchError, LabelError
from clusternet.files.outputs import KIND_TAG, Kind, new_file
from clusternet.labels.strokes import Drawing, Stroke
from clusternet.legend.land_classes import LandClass, make_classes
from clusternet.raster import RasterProfile
from clusternet.raster.placing import RasterExtent, box_around, shapes_onto
from clusternet.raster.shapes import Shapes, geopackage_kind, read_shapes
from clusternet.raster.vector_files import layer_metadata, list_layers, read_layer, write_layer
from clusternet.types import AnyArray, BoolArray

logger = logging.getLogger(__name__)

LAYER = "strokes"
_DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".json": "GeoJSON"}
_EVERY_FIFTH = "CLUSTERNET_EVERY_FIFTH"  # that each fifth stroke to come is held back
_MOST_UNITS = 1e9  # of a CRS: a larger or infinite width is none
STROKE_SUFFIXES = tuple(_DRIVERS)
"""Endings of stroke files."""


@dataclass(frozen=True)
class DrawingGrid:
    """The grid of the raster that strokes are drawn on: size, transform and CRS."""

    shape: tuple[int, int]
    """(rows, cols)"""
    transform: Affine
    """From (col, row) to the coordinates that strokes are stored in."""
    crs: str | None
    """CRS as WKT."""
    name: str
    """Name of the raster, for messages."""
    is_georeferenced: bool = True
    control: str = ""
    """What georeferences the raster if it has no transform, such as ground control points."""
    warp_command: str = ""
    """The command that makes a raster with a transform then."""

    @classmethod
    def of(cls, profile: RasterProfile) -> DrawingGrid:
        """Return the grid of a raster."""
        # GIS programs show a raster without georeference with y = -row, so that it is upright.
        flipped = profile.transform if profile.is_georeferenced else Affine.scale(1, -1)
        crs = None if profile.crs is None else profile.crs.to_wkt()
        extent = RasterExtent.of(profile)
        return cls(
            profile.shape, flipped, crs, extent.name, profile.is_georeferenced, extent.control,
            extent.warp_command,
        )  # fmt: skip

    @property
    def extent(self) -> RasterExtent:
        """The CRS and extent that strokes of other files are reprojected to."""
        bounds = box_around(self.transform, self.shape)
        return RasterExtent(
            self.name, self.crs, bounds, self.is_georeferenced, self.control, self.warp_command
        )

    @property
    def pixel_size(self) -> float:
        """Side of a pixel in units of the coordinates."""
        return float(abs(self.transform.determinant) ** 0.5)


STROKES_FILE = geopackage_kind("strokes")


def write_strokes(
    path: Path,
    drawing: Drawing,
    grid: DrawingGrid,
    *,
    kind: Kind | None = STROKES_FILE,
    overwrite: bool = False,
) -> None:
    """Write strokes with their width and the number, name and colour of their class.

    The field ``check`` is 1 for strokes that are held back as a check.

    The width is stored in units of the coordinates, so that it is right on other rasters, too.

    Args:
        path: the file.
        drawing: the strokes and their classes.
        grid: the grid of the raster that they were drawn on.
        kind: what may be replaced, see `clusternet.files.outputs.new_file`.
        overwrite: replace such a file.

    Raises:
        LabelError: if the ending is neither .gpkg nor .geojson.
        OutputError: if the file cannot be written.
    """
    import geopandas

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
            "width": np.array([s.width * grid.pixel_size for s in drawing.strokes], float),
            "check": np.array([s.is_check for s in drawing.strokes], np.int32),
        },
        geometry=_moved([s.geometry for s in drawing.strokes], grid.transform),
        crs=grid.crs,
    )
    options = {"VERSION": "1.2"} if driver == "GPKG" else {}
    with new_file(path, kind=kind, overwrite=overwrite) as hidden_path:
        write_layer(
            frame, hidden_path, layer=LAYER, driver=driver, geometry_type="Unknown",
            dataset_options=options,
            layer_metadata=_tags(drawing) if driver == "GPKG" else None,
        )  # fmt: skip


def _tags(drawing: Drawing) -> dict[str, str]:
    return {KIND_TAG: "strokes"} | ({_EVERY_FIFTH: "YES"} if drawing.every_fifth else {})


def read_strokes(
    path: Path,
    grid: DrawingGrid,
    *,
    names: Mapping[int, LandClass] | None = None,
    class_field: str | None = None,
    layer: str | None = None,
    most: int | None = None,
) -> Drawing:
    """Read strokes, or any points, lines and areas with a class, onto a raster.

    Args:
        path: vectors in any CRS; files of `write_strokes` have names, colours and widths.
        grid: the grid of the raster.
        names: classes whose names and colours replace those in the file.
        class_field: field that holds the class (default: ``class``).
        layer: layer to read of files with several layers.
        most: number of strokes that may lie on the raster; None for any.

    Raises:
        LabelError: if there are no shapes, none with a class, or more than ``most``.
        GridMismatchError: if none lies on the raster.
    """
    shapes = read_shapes(path, class_field=class_field, layer=layer)
    details = _details(shapes, layer, class_field)
    onto = shapes_onto(shapes, grid.extent, copies=False)
    back = ~grid.transform
    if not grid.is_georeferenced and shapes.bounds[1] + shapes.bounds[3] > 0:
        back = Affine.scale(1, -1) @ back  # their y grows downwards, as the rows of an image
    widths = _in_pixels(details.widths, shapes, onto, grid)
    moved = _moved(list(onto.geometries), back)
    each = zip(moved, shapes.classes.tolist(), widths, details.checks.tolist(), strict=True)
    strokes = [Stroke(shape, number, width, check) for shape, number, width, check in each]
    rows, cols = grid.shape
    raster = shapely.box(0, 0, cols, rows)
    inside = tuple(stroke for stroke in strokes if stroke.touches(raster))
    if not inside:
        raise GridMismatchError(
            f"{path}: none of its {len(strokes)} strokes lies on {grid.name}; if they were drawn "
            "on another raster, name that one with --drawn_on."
        )
    if most is not None and len(inside) > most:
        raise LabelError(
            f"{path}: {len(inside):,} of its strokes lie on the raster; the page follows "
            f"{most:,} at most. Load a part of them, or make the map in batch, which takes all."
        )
    if len(inside) < len(strokes):
        logger.warning("%s: %d of %d strokes lie outside %s and are left out.",
                       path, len(strokes) - len(inside), len(strokes), grid.name)  # fmt: skip
    classes = make_classes(set(shapes.classes.tolist()), details.names, details.colours)
    classes |= {number: names[number] for number in classes if names and number in names}
    for number in classes.keys() - {stroke.land_class for stroke in inside}:
        logger.warning("%s: no stroke of the class '%s' lies on %s.",
                       path, classes[number].name, grid.name)  # fmt: skip
    ordered = tuple(sorted(classes.values(), key=lambda c: c.number))
    return Drawing(ordered, inside, _holds_back(path, layer))


def _holds_back(path: Path, layer: str | None) -> bool:
    if path.suffix.lower() != ".gpkg":
        return False
    tags = layer_metadata(path, layer or list_layers(path)[0][0])
    return tags.get(_EVERY_FIFTH) == "YES"


@dataclass(frozen=True)
class _Details:
    names: dict[int, str]
    colours: dict[int, RGB]
    widths: AnyArray
    """(shapes,) in units of the file's CRS; 0 where the file has no width."""
    checks: BoolArray
    """(shapes,) True for strokes that are held back as a check."""


def _details(shapes: Shapes, layer: str | None, class_field: str | None) -> _Details:
    """Return names, colours and widths in a stroke file; only names if others wrote it."""
    count = len(shapes.classes)
    details = _Details(dict(shapes.names), {}, np.zeros(count), np.zeros(count, bool))
    frame = read_layer(shapes.path, layer, quiet=True)
    frame = frame.rename(columns=lambda c: c if c == frame.geometry.name else str(c).lower())
    if class_field is not None or not {"class", "name", "colour", "width"} <= set(frame.columns):
        return details
    import pandas as pd

    frame = frame.iloc[shapes.rows]
    for number, name, colour in zip(
        shapes.classes.tolist(), frame["name"], frame["colour"], strict=True
    ):
        if isinstance(name, str) and name:
            details.names.setdefault(number, name)
        if isinstance(colour, str) and (rgb := from_hex(colour)) is not None:
            details.colours.setdefault(number, rgb)
    widths, checks = (
        pd.to_numeric(frame[name], errors="coerce").fillna(0) if name in frame
        else pd.Series(0, frame.index)
        for name in ("width", "check")
    )  # fmt: skip
    wide = widths.to_numpy(float)
    return replace(
        details, widths=np.where(wide < _MOST_UNITS, wide, 0), checks=checks.to_numpy() == 1
    )


def _in_pixels(widths: AnyArray, shapes: Shapes, onto: Shapes, grid: DrawingGrid) -> list[float]:
    """Return widths, stored in units of the file's coordinates, in pixels of the raster."""
    scale = 1 / grid.pixel_size
    if shapes.crs != onto.crs:
        left, bottom, right, top = shapes.bounds
        # The local scale between the two CRSs: a small disc in the middle of the strokes is
        # reprojected, and the areas are compared.
        radius = max(right - left, top - bottom, float(widths.max()), 1e-9) / 1000
        disc = shapely.Point((left + right) / 2, (bottom + top) / 2).buffer(radius)
        moved = shapes_onto(_one(shapes, disc), grid.extent, copies=False)
        reprojected = float((moved.geometries[0].area / disc.area) ** 0.5) * scale
        # A file that others reprojected still holds the widths in its former units. Such widths
        # come out wider than the raster, and are then taken in units of the raster.
        if widths.max() * reprojected < max(grid.shape):
            scale = reprojected
    return [float(width) for width in widths * scale]


def _one(shapes: Shapes, geometry: Any) -> Shapes:
    """Return a single geometry as `Shapes` in the CRS of the same file."""
    one = np.array([geometry], object)
    return replace(shapes, geometries=one, classes=shapes.classes[:1], rows=shapes.rows[:1])


def _moved(geometries: list[Any], transform: Affine) -> AnyArray:
    matrix = np.array([[transform.a, transform.b], [transform.d, transform.e]])
    shift = np.array([transform.c, transform.f])
    array = np.array(geometries, object)
    moved: AnyArray = shapely.transform(array, lambda xy: xy @ matrix.T + shift)
    return moved
