"""Read labels drawn as points, lines or polygons, and write polygons of class maps."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from clusternet.errors import GridMismatchError, LabelError, OutputError
from clusternet.files.outputs import KIND_TAG, Kind
from clusternet.foreign_errors import converted, is_foreign, reason
from clusternet.legend.class_list import ClassList
from clusternet.legend.common_classes import CommonClasses, Renumbering, Statement, match_classes
from clusternet.legend.names import clean_name
from clusternet.messages import short
from clusternet.processes.waiting import run_aside
from clusternet.raster.shape_classes import (
    ClassColumn,
    Key,
    check_number,
    find_field,
    read_classes,
    report_form,
)
from clusternet.raster.vector_files import (
    field_names,
    layer_metadata,
    list_layers,
    read_layer,
    write_layer,
)
from clusternet.types import NO_CLASS, AnyArray, IntArray

if TYPE_CHECKING:
    import geopandas

logger = logging.getLogger(__name__)

_ROW, _NUMBER = "clusternet_row", "clusternet_class"  # columns that we add to a file's fields
Bounds = tuple[float, float, float, float]

_MOST_LAYER_LETTERS = 100
_RESERVED = ("gpkg", "sqlite_", "rtree_", "ogr_", "idx_", "layer_styles", "spatial_", "geometry_")
"""Prefixes of table names that SQLite, GeoPackage, GDAL or QGIS reserve."""


@dataclass(frozen=True)
class Shapes:
    """Geometries with the class of each, in the order in which they are rasterised."""

    path: Path
    """The file that they were read from."""
    geometries: AnyArray
    """(geometries,) simple shapely geometries: points, lines and polygons."""
    classes: IntArray
    """(geometries,) class number of each."""
    names: Mapping[int, str]
    """The name of each class, if names are known."""
    crs: str | None
    """Their CRS as WKT, None where the file has none."""
    rows: IntArray
    """(geometries,) the row of the file that each comes from. A row with a multi-polygon or a
    collection gives several geometries, which are one shape."""
    stated: frozenset[int] = frozenset()
    """All classes of the file, including those whose shapes have no geometry."""

    @property
    def bounds(self) -> Bounds:
        """The bounding box of all shapes: left, bottom, right, top."""
        left, bottom, right, top = shapely.total_bounds(self.geometries)
        return float(left), float(bottom), float(right), float(top)

    def reprojected(self, crs: str, name: str) -> Shapes:
        """Return the shapes in another CRS, that of a raster called ``name``.

        Raises:
            GridMismatchError: if PROJ knows no transformation between the two.
        """
        import geopandas  # inside functions, because it takes long to load

        with converted(GridMismatchError, f"{self.path}: cannot be brought into the CRS of {name}"):
            moved = geopandas.GeoSeries(self.geometries, crs=self.crs).to_crs(crs)
        return replace(self, geometries=moved.to_numpy(), crs=crs)


def read_shapes(
    path: Path,
    *,
    class_field: str | None = None,
    classes: ClassList | CommonClasses | None = None,
    layer: str | None = None,
    order_field: str | None = None,
    burn_value: int | None = None,
    reserved: Iterable[int] = (),
) -> Shapes:
    """Read geometries and the class of each.

    Args:
        path: shapefile, GeoPackage, GeoJSON or another format of GDAL.
        class_field: field that holds the class. Whole numbers are class numbers, also as text;
            other text is a name. None takes the field ``class``; in a file without fields all
            shapes have class 1.
        classes: the class list of the user, or the common classes of several files. None numbers
            names in alphabetical order.
        layer: layer to read; needed where the file has several.
        order_field: burn in the ascending order of this field, so that higher values lie on
            top; None keeps the order of the file.
        burn_value: give all shapes this class instead.
        reserved: numbers that are not given to names without a number.

    Raises:
        LabelError: if the file is missing, holds no vectors or none at all, or its classes
            cannot be used.
    """
    frame = _read_frame(path, layer)
    column = _class_column(path, frame, class_field, burn_value)
    report_form(path, column, class_field)
    if not isinstance(classes, CommonClasses):
        classes = match_classes([column.statement(path)], given=classes, reserved=reserved)
    numbers = _common_numbers(column, classes.renumbering(path), classes)
    frame = frame.assign(**{_ROW: np.arange(len(frame)), _NUMBER: numbers})
    if order_field is not None:
        fields = frame.drop(columns=[frame.geometry.name, _ROW, _NUMBER])
        # a stable sort keeps the order of the file among equal values
        frame = frame.sort_values(find_field(path, fields, order_field, "order_field"),
                                  kind="stable")  # fmt: skip
    used = _usable(path, frame)
    simple = _simple(used)
    stated = set(numbers.tolist()) - {NO_CLASS}
    return Shapes(
        path=path,
        geometries=simple.geometry.to_numpy(),
        classes=simple[_NUMBER].to_numpy(np.int32),
        names={n: name for n, name in classes.classes.names.items() if n in stated},
        crs=None if frame.crs is None else frame.crs.to_wkt(),
        rows=simple[_ROW].to_numpy(np.int32),
        stated=frozenset(stated),
    )


def read_statement(
    path: Path, *, class_field: str | None = None, layer: str | None = None
) -> Statement:
    """Return the names and numbers that a vector file states; errors as of `read_shapes`.

    It logs no warnings, because `read_shapes` will.
    """
    frame = _read_frame(path, layer, quiet=True)
    fields = frame.drop(columns=frame.geometry.name)
    return read_classes(path, fields, class_field, quiet=True).statement(path)


def list_fields(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the names of the fields of each layer of a vector file that labels may be read from.

    Raises:
        LabelError: if the file cannot be read as vectors.
    """
    with _readable(path):
        return {layer: field_names(path, layer) for layer in _layers(path)}


def _class_column(
    path: Path, frame: geopandas.GeoDataFrame, class_field: str | None, burn_value: int | None
) -> ClassColumn:
    if burn_value is not None:
        return ClassColumn([check_number(path, burn_value)] * len(frame), {}, False)
    return read_classes(path, frame.drop(columns=frame.geometry.name), class_field)


def _common_numbers(
    column: ClassColumn, renumbering: Renumbering, classes: CommonClasses
) -> IntArray:
    """Return the common number of each shape, ``NO_CLASS`` where it has none."""
    table: dict[Key | None, int] = {None: NO_CLASS}
    for key in {key for key in column.keys if key is not None}:
        # a class list may have names such as "2018", which read_classes took for numbers
        by_name = isinstance(key, int) and column.is_text and str(key) in classes.numbers
        table[key] = classes.numbers[str(key)] if by_name else renumbering.common(key)
    return np.array([table[key] for key in column.keys], np.int32)


def _usable(path: Path, frame: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """Return the shapes with a geometry and a class; warn of the others."""
    empty = frame.geometry.isna() | frame.geometry.is_empty
    classless = frame[_NUMBER] == NO_CLASS
    for lost, what in ((classless & ~empty, "no class"), (empty, "no geometry")):
        if lost.any():
            logger.warning("%s: %d of %d shapes have %s and are left out.",
                           path, int(lost.sum()), len(frame), what)  # fmt: skip
    used = frame[~(empty | classless)]
    if used.empty:
        raise LabelError(f"{path}: holds no shape with a class; draw some, or name another layer.")
    return used


def _simple(frame: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """Split multi-geometries and collections to simple geometries in two dimensions."""
    simple = frame.set_geometry(frame.geometry.force_2d()).explode()
    # explode splits one level, but collections may contain collections
    while (simple.geometry.geom_type == "GeometryCollection").any():
        simple = simple.explode()
    return simple[~simple.geometry.is_empty]


def geopackage_kind(tag: str) -> Kind:
    """Return the kind of GeoPackages in which all layers carry ``tag``.

    A GeoPackage with a layer of another program, such as styles of QGIS, is not of this kind and
    so is never replaced.
    """

    def is_one(path: Path) -> bool:
        all_tags = [layer_metadata(path, layer) for layer, _ in list_layers(path)]
        return bool(all_tags) and all(tags.get(KIND_TAG) == tag for tags in all_tags)

    return Kind(f"GeoPackage of {tag}", is_one)


def check_closed(path: Path) -> None:
    """Refuse a GeoPackage that another program has open for writing.

    SQLite keeps changes that are not complete in a file beside it.

    Raises:
        OutputError: naming the file beside it.
    """
    for ending in ("-wal", "-journal"):
        beside = path.with_name(path.name + ending)
        if beside.exists():
            raise OutputError(
                f"{path}: is open in another program ({beside.name} lies beside it); close it "
                "there."
            )


def write_polygons(
    path: Path,
    layer: str,
    geometries: AnyArray,
    fields: Mapping[str, Any],
    crs: str | None,
    *,
    tag: str,
    append: bool,
) -> None:
    """Write polygons as a layer of a GeoPackage.

    Args:
        path: the GeoPackage.
        layer: its layer.
        geometries: (polygons,) shapely polygons.
        fields: values of each polygon by field name, each (polygons,).
        crs: WKT, or None.
        tag: kind of the layer, see `geopackage_kind`.
        append: add to the layer, which exists already.

    Raises:
        OSError: if it cannot be written.
    """
    import geopandas

    frame = geopandas.GeoDataFrame(dict(fields), geometry=geometries, crs=crs)
    write_layer(
        frame, path, layer=layer, driver="GPKG", geometry_type="MultiPolygon",
        promote_to_multi=True, append=append, layer_metadata={KIND_TAG: tag},
        dataset_options={"VERSION": "1.2"},  # older GIS programs warn of newer versions
    )  # fmt: skip


def layer_names(names: Iterable[str]) -> list[str]:
    """Return a valid name of a GeoPackage layer for each of ``names``, changed only if needed.

    A table of a GeoPackage must start with a letter or a digit and not with a reserved prefix;
    else ``map_`` is put before it. Names that differ only by upper and lower case are the same
    for SQLite; then ``_2`` is appended.
    """
    wanted = [_layer_name(name) for name in names]
    others = {name.casefold() for name in wanted}
    taken: set[str] = set()
    for index, name in enumerate(wanted):
        new, number = name, 2
        while new.casefold() in taken or (new != name and new.casefold() in others):
            new, number = f"{name}_{number}", number + 1
        taken.add(new.casefold())
        wanted[index] = new
    return wanted


def _layer_name(name: str) -> str:
    name = clean_name(name[:_MOST_LAYER_LETTERS], "layers")
    if name[:1].isalnum() and not name.lower().startswith(_RESERVED):
        return name
    return f"map_{name}"


def _read_frame(path: Path, layer: str | None, *, quiet: bool = False) -> geopandas.GeoDataFrame:
    with _readable(path):
        layers = _layers(path)
        _check_layer(path, layer, layers)
        # a million shapes take seconds, in which a signal should be answered
        frame = run_aside(partial(read_layer, path, layer or layers[0], quiet=quiet))
    if not hasattr(frame, "to_crs"):  # a table of pandas, not of geopandas
        raise LabelError(f"{path}: holds a table without geometries; name another layer.")
    if frame.empty:
        raise LabelError(f"{path}: holds no shape (layer '{layer or layers[0]}' is empty).")
    return frame


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise a LabelError if the block cannot read a vector file."""
    if not path.exists():
        raise LabelError(f"{path}: no such file.")
    try:
        yield
    except Exception as error:
        if not (is_foreign(error) or isinstance(error, ValueError)):
            raise
        raise LabelError(
            f"{path}: cannot be read as vectors ({reason(error)}); expected a shapefile, "
            "GeoPackage or GeoJSON of points, lines and polygons."
        ) from error


def _layers(path: Path) -> list[str]:
    """Return the names of the layers with geometries, or of all layers if none has.

    A layer without geometries is usually no label: QGIS saves styles in one.
    """
    layers = list_layers(path)
    return [name for name, kind in layers if kind] or [name for name, _ in layers]


def _check_layer(path: Path, layer: str | None, layers: Sequence[str]) -> None:
    listed = short(", ".join(layers), 120)
    if not layers:
        raise LabelError(f"{path}: holds no layer.")
    if layer is None and len(layers) > 1:
        raise LabelError(f"{path}: holds several layers ({listed}); choose one with --layer.")
    if layer is not None and layer not in layers:
        raise LabelError(f"{path}: has no layer '{layer}'; there are {listed}.")
