"""Validation points as a file: written empty, filled in QGIS, read again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from clusternet.areas.sample import Sample
from clusternet.areas.strata import ClassMaps
from clusternet.errors import GridMismatchError, LabelError, OutputError, SettingsError
from clusternet.files.outputs import KIND_TAG, Kind, new_file
from clusternet.files.side_files import new_side_file
from clusternet.foreign_errors import converted
from clusternet.legend.names import clean_name
from clusternet.messages import short
from clusternet.raster.crs import is_on_earth, wkt_of
from clusternet.raster.shape_classes import find_field
from clusternet.raster.shapes import geopackage_kind
from clusternet.raster.styles import is_our_style, style_path, write_form_style
from clusternet.raster.vector_files import read_layer, write_layer
from clusternet.types import AnyArray

logger = logging.getLogger(__name__)

REFERENCE = "reference"
"""The field of points that the true class is written to."""
MAP_CLASS = "map_class"
"""The usual field of points that holds the class of the map."""
_ID, _TAG, _LAYER = "point", "validation points", "points"


@dataclass(frozen=True)
class Points:
    """Validation points as read."""

    path: Path
    positions: AnyArray
    """(points, 2) coordinates in the CRS of the maps."""
    reference: Sequence[str | None]
    """Name or number of the true class of each; None where it is not filled in."""
    map_classes: Sequence[str | None] | None
    """Name of the class of the map when they were drawn; None if the file does not hold it."""


def _is_unfilled(path: Path) -> bool:
    if not geopackage_kind(_TAG).is_one(path):
        return False
    frame = read_layer(path, quiet=True)
    return bool(REFERENCE not in frame or frame[REFERENCE].isna().all())


UNFILLED = Kind("GeoPackage of validation points without reference", _is_unfilled)
"""Points that may be replaced; those with a reference are somebody's work."""


def check_fields(map_field: str) -> None:
    """Refuse a field of the map's class that is another field; SettingsError."""
    if not map_field.strip() or map_field.lower() in (REFERENCE, _ID, "fid", "geom"):
        raise SettingsError(
            f"--map_field: expected a name other than {REFERENCE}, {_ID}, fid and geom, received "
            f"'{map_field}'."
        )


def write_points(
    path: Path,
    sample: Sample,
    maps: ClassMaps,
    *,
    map_field: str = MAP_CLASS,
    hide: bool = True,
    overwrite: bool = False,
) -> None:
    """Write a sample as GeoPackage, with a style for QGIS that offers the classes in a list.

    Args:
        path: the file.
        sample: the points.
        maps: what they were drawn from.
        map_field: the field that gets the class of the map.
        hide: let the style hide that field, so that it does not sway who fills in the reference.
        overwrite: replace a sample that is not filled in.

    Raises:
        OutputError: if it exists and may not be replaced, or cannot be written.
    """
    names = {c.number: c.name for c in sample.strata.classes}
    crs = maps.maps[0].profile.output_crs
    import geopandas  # here, because it takes long to load

    frame = geopandas.GeoDataFrame(
        {
            _ID: np.arange(1, len(sample.classes) + 1),
            REFERENCE: np.full(len(sample.classes), None, object),
            map_field: np.array([names[number] for number in sample.classes.tolist()], object),
        },
        geometry=shapely.points(sample.positions),
        crs=None if crs is None else wkt_of(crs),
    )
    with new_file(path, kind=UNFILLED, overwrite=overwrite) as hidden_path:
        write_layer(
            frame, hidden_path, layer=_LAYER, driver="GPKG", geometry_type="Point",
            layer_metadata={KIND_TAG: _TAG, "CLUSTERNET_MAP_FIELD": map_field},
            dataset_options={"VERSION": "1.2"},
        )  # fmt: skip
        style = style_path(path)
        with new_side_file(
            style, is_ours=is_our_style(style, path), overwrite=overwrite,
            lacks="QGIS shows the points as it says",
        ) as hidden_style:  # fmt: skip
            if hidden_style is not None:
                write_form_style(
                    hidden_style, path, choices=(REFERENCE, names.values()),
                    hidden=[map_field] if hide else [],
                )  # fmt: skip


def check_points_path(path: Path) -> None:
    """Refuse a path that is no GeoPackage; OutputError."""
    if path.suffix.lower() != ".gpkg":
        raise OutputError(f"{path}: points are written as GeoPackage; name it *.gpkg.")


def read_points(
    path: Path,
    maps: ClassMaps,
    *,
    class_field: str | None = None,
    layer: str | None = None,
    map_field: str | None = None,
) -> Points:
    """Read validation points.

    Args:
        path: vectors in any CRS.
        maps: the class maps that they validate.
        class_field: the field that holds the true class; None means ``reference``.
        layer: layer of a file that holds several.
        map_field: the field that holds the class of the map when they were drawn; None takes
            ``map_class`` if there is one.

    Raises:
        LabelError: if it holds no points or no such field.
        GridMismatchError: if it cannot be brought into the CRS of the maps.
    """
    with converted(LabelError, f"{path}: cannot be read as points"):
        frame = read_layer(path, layer)
    import geopandas
    import pandas as pd

    if not isinstance(frame, geopandas.GeoDataFrame):
        raise LabelError(f"{path}: expected points, found a table without geometry.")
    columns = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    field = find_field(path, columns, class_field or REFERENCE, "class_field")
    shown = map_field or MAP_CLASS
    if map_field is not None:
        find_field(path, columns, map_field, "map_field")
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)].explode(ignore_index=True)
    kinds = set(frame.geometry.geom_type)
    if kinds != {"Point"}:
        found = short(", ".join(sorted(map(str, kinds - {"Point"}))) or "none", 60)
        raise LabelError(f"{path}: expected points, found {found}.")
    frame = _moved(frame, path, maps)
    return Points(
        path,
        shapely.get_coordinates(frame.geometry.to_numpy()),
        [_text(value, path) for value in frame[field]],
        [_text(value, path) for value in frame[shown]] if shown in frame else None,
    )


def _moved(frame: Any, path: Path, maps: ClassMaps) -> Any:
    """Bring points into the CRS of the maps."""
    profile = maps.maps[0].profile
    crs = profile.output_crs
    on_earth = crs is not None and is_on_earth(crs)
    if (frame.crs is not None) != on_earth and crs is not None:
        with_crs = profile.path if on_earth else path
        raise GridMismatchError(
            f"{path}: cannot be laid over {profile.path}: only {with_crs.name} states a CRS."
        )
    if crs is None or frame.crs is None:
        return frame
    with converted(GridMismatchError, f"{path}: cannot be brought into the CRS of {profile.path}"):
        return frame.to_crs(wkt_of(crs))


def _text(value: Any, path: Path) -> str | None:
    """Return a class as text; whole numbers without a decimal point, None if it is empty."""
    import pandas as pd

    if value is None or value is pd.NA or value != value:
        return None
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    return clean_name(str(value), path, quiet=True) or None
