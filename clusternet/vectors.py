"""Labels drawn as points, lines or polygons: read them, and write the polygons of a class map."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj.exceptions import ProjError

from clusternet.class_names import clean_name
from clusternet.errors import GridMismatchError, LabelError, OutputError
from clusternet.files import KIND_TAG, Kind
from clusternet.foreign_errors import is_foreign, reason
from clusternet.types import AnyArray, IntArray

logger = logging.getLogger(__name__)

VECTOR_SUFFIXES = (".gpkg", ".shp", ".geojson", ".json", ".fgb", ".kml", ".gml")
CLASS_FIELD = "class"
"""The field that is taken for the class where none is named."""
MAX_CLASS = 65534
"""The highest class number: one value of a 16-bit map is needed for nodata."""

Bounds = tuple[float, float, float, float]

_MOST_LAYER_LETTERS = 100
_RESERVED = ("gpkg", "sqlite_", "rtree_", "ogr_", "idx_", "layer_styles", "spatial_", "geometry_")
"""How names of tables begin that SQLite, GeoPackage, GDAL or QGIS keep for themselves."""


@dataclass(frozen=True)
class Shapes:
    """Geometries with the class of each, in the order in which they are burnt."""

    path: Path
    """The file that they were read from."""
    geometries: AnyArray
    """(shapes,) shapely geometries without parts."""
    classes: IntArray
    """(shapes,) class number of each."""
    names: Mapping[int, str]
    """The name of each class, where the file states names."""
    crs: str | None
    """Their CRS as WKT, None where the file has none."""

    @property
    def bounds(self) -> Bounds:
        """The box around all shapes: left, bottom, right, top."""
        left, bottom, right, top = shapely.total_bounds(self.geometries)
        return float(left), float(bottom), float(right), float(top)

    def onto(self, crs: str | None, name: str) -> Shapes:
        """Return the shapes in another CRS, that of a raster called ``name``.

        Raises:
            GridMismatchError: if one side has a CRS and the other has none.
        """
        if self.crs is None or crs is None:
            _check_both_lack_crs(self, crs, name)
            return self
        series = geopandas.GeoSeries(self.geometries, crs=self.crs)
        try:
            moved = series.to_crs(crs)
        except ProjError as error:
            raise GridMismatchError(
                f"{self.path}: cannot be brought into the CRS of {name} ({error})."
            ) from error
        return Shapes(self.path, moved.to_numpy(), self.classes, self.names, crs)


def _check_both_lack_crs(shapes: Shapes, crs: str | None, name: str) -> None:
    if shapes.crs is None and crs is None:
        return
    without, given = (name, shapes.path) if crs is None else (shapes.path, name)
    raise GridMismatchError(
        f"{without}: has no CRS but {given} has one, so they cannot be laid over each other; "
        "set the CRS of the first (in QGIS: Set Layer CRS or Assign Projection)."
    )


def is_vector(path: Path) -> bool:
    """Tell by its suffix whether a file holds vectors."""
    return path.suffix.lower() in VECTOR_SUFFIXES


def read_shapes(
    path: Path,
    *,
    class_field: str | None = None,
    numbers: Mapping[str, int] | None = None,
    layer: str | None = None,
    order_field: str | None = None,
    burn_value: int | None = None,
) -> Shapes:
    """Read geometries and the class of each.

    Args:
        path: shapefile, GeoPackage, GeoJSON or another format of GDAL.
        class_field: field that holds the class. Whole numbers are class numbers; text is
            numbered by ``numbers``, or else in alphabetical order. None takes the field
            ``class``; a file without any field is all class 1.
        numbers: the number of each class name.
        layer: layer to read; needed where the file has several.
        order_field: burn in the ascending order of this field, so that higher values lie on
            top; None keeps the order of the file.
        burn_value: give all shapes this class instead.

    Raises:
        LabelError: if the file is missing, holds no vectors or none at all, or its classes
            cannot be used.
    """
    frame = _read_frame(path, layer)
    if order_field is not None:
        frame = frame.sort_values(_field(path, frame, order_field, "order_field"), kind="stable")
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if burn_value is not None:
        classes: pd.Series[Any] = pd.Series(_checked(path, burn_value), index=frame.index)
        names: dict[int, str] = {}
    else:
        classes, names = _classes(path, frame, class_field, numbers)
    left_out = len(frame) - len(classes)
    if left_out:
        logger.warning("%s: %d of %d shapes have no class and are left out.",
                       path, left_out, len(frame))  # fmt: skip
    if not len(classes):
        raise LabelError(f"{path}: holds no shape with a class; draw some, or name another layer.")
    parts = frame.geometry.loc[classes.index].force_2d().explode()
    return Shapes(
        path=path,
        geometries=parts.to_numpy(),
        classes=classes.loc[parts.index].to_numpy(np.int32),
        names=names,
        crs=None if frame.crs is None else frame.crs.to_wkt(),
    )


def class_names(
    paths: Iterable[Path], *, class_field: str | None = None, layer: str | None = None
) -> list[str]:
    """Return the sorted class names that text fields of several files hold, perhaps none."""
    names: set[str] = set()
    for path in paths:
        names.update(read_shapes(path, class_field=class_field, layer=layer).names.values())
    return sorted(names)


def geopackage_kind(tag: str) -> Kind:
    """Return the kind of GeoPackages all of whose layers carry ``tag``.

    A layer of others in it, such as styles that QGIS saved there, makes it theirs.
    """

    def is_one(path: Path) -> bool:
        layers = [str(name) for name, _ in pyogrio.list_layers(path)]
        found = [pyogrio.read_info(path, layer=layer)["layer_metadata"] for layer in layers]
        return bool(found) and all((tags or {}).get(KIND_TAG) == tag for tags in found)

    return Kind(f"GeoPackage of {tag}", is_one)


def check_closed(path: Path) -> None:
    """Refuse a GeoPackage that another program is writing: what it has not written yet is beside.

    Raises:
        OutputError: naming what lies beside it.
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
        tag: what the layer is of, see `geopackage_kind`.
        append: add to the layer, which exists already.

    Raises:
        OSError: if it cannot be written.
    """
    frame = geopandas.GeoDataFrame(dict(fields), geometry=geometries, crs=crs)
    with warnings.catch_warnings():
        # polygons of a map without CRS are welcome
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        try:
            pyogrio.write_dataframe(
                frame, path, layer=layer, driver="GPKG", geometry_type="MultiPolygon",
                promote_to_multi=True, append=append, layer_metadata={KIND_TAG: tag},
                dataset_options={"VERSION": "1.2"},  # what GIS of the last years read silently
            )  # fmt: skip
        except Exception as error:
            if not is_foreign(error):
                raise
            raise OSError(reason(error)) from error


def layer_names(names: Iterable[str]) -> list[str]:
    """Return a name for a layer of a GeoPackage for each of ``names``, the same where it serves.

    A table of a GeoPackage starts with a letter or a digit, not with a word that is reserved, and
    upper and lower case do not tell two apart: ``map_`` is put before, ``_2`` behind where needed.
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


def _read_frame(path: Path, layer: str | None) -> geopandas.GeoDataFrame:
    if not path.exists():
        raise LabelError(f"{path}: no such file.")
    try:
        with _logged_warnings(path):
            layers = _layers(path)
            _check_layer(path, layer, layers)
            frame = geopandas.read_file(path, layer=layer or layers[0], engine="pyogrio")
    except (DataSourceError, DataLayerError, OSError, ValueError) as error:
        raise LabelError(
            f"{path}: cannot be read as vectors (damaged, or another format); expected a "
            "shapefile, GeoPackage or GeoJSON."
        ) from error
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise LabelError(f"{path}: holds a table without geometries; name another layer.")
    if frame.empty:
        raise LabelError(f"{path}: holds no shape (layer '{layer or layers[0]}' is empty).")
    return frame


def _layers(path: Path) -> list[str]:
    """Return the names of the layers that hold geometries, or of all if none does.

    QGIS keeps styles that are saved in a GeoPackage in a table of their own.
    """
    found = pyogrio.list_layers(path)
    return [str(name) for name, kind in found if kind] or [str(name) for name, _ in found]


@contextmanager
def _logged_warnings(path: Path) -> Iterator[None]:
    """Pass on what GDAL warns of, as log lines that name the file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        logger.warning("%s: %s", path, warning.message)


def _check_layer(path: Path, layer: str | None, layers: Sequence[str]) -> None:
    listed = ", ".join(layers)
    if not layers:
        raise LabelError(f"{path}: holds no layer.")
    if layer is None and len(layers) > 1:
        raise LabelError(f"{path}: holds several layers ({listed}); choose one with --layer.")
    if layer is not None and layer not in layers:
        raise LabelError(f"{path}: has no layer '{layer}'; there are {listed}.")


def _field(path: Path, frame: geopandas.GeoDataFrame, name: str, flag: str) -> str:
    fields = [str(column) for column in frame.columns if column != frame.geometry.name]
    if name not in fields:
        listed = ", ".join(fields) or "none"
        raise LabelError(f"{path}: has no field '{name}' (--{flag}); fields there: {listed}.")
    return name


def _class_field(path: Path, frame: geopandas.GeoDataFrame, name: str | None) -> str | None:
    if name is not None:
        return _field(path, frame, name, "class_field")
    fields = [str(column) for column in frame.columns if column != frame.geometry.name]
    for field in fields:
        if field.lower() == CLASS_FIELD:
            return field
    if fields:
        raise LabelError(
            f"{path}: has no field '{CLASS_FIELD}'; name the one that holds the class with "
            f"--class_field. Fields there: {', '.join(fields)}."
        )
    return None


def _classes(
    path: Path,
    frame: geopandas.GeoDataFrame,
    class_field: str | None,
    numbers: Mapping[str, int] | None,
) -> tuple[pd.Series[Any], dict[int, str]]:
    """Return the class numbers of the shapes that have one, and the names of text classes."""
    field = _class_field(path, frame, class_field)
    if field is None:
        return pd.Series(1, index=frame.index), {}
    values = frame[field].dropna()
    text = values.astype(str).str.strip()
    values, text = values[text != ""], text[text != ""]
    numeric = pd.to_numeric(text.replace({"True": "1", "False": "0"}), errors="coerce")
    by_name = numbers is not None and bool(text.isin(list(numbers)).all())
    if by_name or numeric.isna().any():
        return _numbered(path, field, text, numbers)
    if (numeric % 1 != 0).any():
        raise LabelError(
            f"{path}: field '{field}' holds fractions such as {numeric[numeric % 1 != 0].iloc[0]}; "
            "expected whole class numbers or names."
        )
    for value in (numeric.min(), numeric.max()) if len(numeric) else ():
        _checked(path, int(value))
    return numeric.astype(np.int32), {}


def _numbered(
    path: Path, field: str, text: pd.Series[str], numbers: Mapping[str, int] | None
) -> tuple[pd.Series[Any], dict[int, str]]:
    present = sorted(set(text))
    if numbers is None:
        numbers = {name: number for number, name in enumerate(present)}
    for name in present:
        if name not in numbers:
            raise LabelError(
                f"{path}: field '{field}' holds the class '{name}'; expected one of "
                f"{', '.join(numbers)}."
            )
    return text.map(dict(numbers)), {numbers[name]: name for name in present}


def _checked(path: Path, value: int) -> int:
    if not 0 <= value <= MAX_CLASS:
        raise LabelError(f"{path}: class number {value} cannot be used; expected 0 to {MAX_CLASS}.")
    return value
