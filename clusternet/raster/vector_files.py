"""Read and write vector files, and refuse files whose content is not what their suffix says.

GDAL chooses the driver by content. A file called ``.gpkg`` may be a text that refers to other
files of this machine or to network addresses, which GDAL would read. So the content is checked
first. All other modules read and write vectors through this one.
"""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shapely

from clusternet.errors import LabelError, OutputError
from clusternet.foreign_errors import is_foreign, reason, topic
from clusternet.messages import one_line, short_value
from clusternet.process_setup import quiet_stderr
from clusternet.processes.phases import phases
from clusternet.raster.endings import GEOJSON_SUFFIXES
from clusternet.raster.gdal_messages import gdal_complaints
from clusternet.raster.plain_paths import plain_path

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

_INDIRECT = (b"OGRVRTDataSource", b"OGRWFSDataSource", b"OGCAPI", b"gdal_streamed_alg")
"""Marks of text formats that refer to other files or addresses."""
_HEAD = 65536  # bytes of a file that are searched for these marks
_GEOMETRIES = (
    "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon",
    "GeometryCollection",
)  # fmt: skip
_SET_CRS = "set it anew (in QGIS: Set Layer CRS, then export)"
_JSON_TYPES = ("FeatureCollection", "Feature", "Topology", *_GEOMETRIES)
_JSON_DRIVERS = ("GeoJSON", "GeoJSONSeq", "ESRIJSON", "TopoJSON", "JSONFG")


def list_layers(path: Path) -> list[tuple[str, str | None]]:
    """Return the name of each layer of a file, and the type of its geometries or None.

    Raises:
        LabelError: if the content is not what the suffix says.
        Exception: one that `clusternet.foreign_errors` lists, if the file cannot be read.
    """
    from clusternet.raster.vector_library import pyogrio

    with _opened(path) as source:
        layers = pyogrio.list_layers(source).tolist()
    return [(str(name), None if kind is None else str(kind)) for name, kind in layers]


def field_names(path: Path, layer: str) -> tuple[str, ...]:
    """Return the names of the fields of a layer; errors as of `list_layers`."""
    from clusternet.raster.vector_library import pyogrio

    with _opened(path) as source:
        return tuple(map(str, pyogrio.read_info(source, layer=layer)["fields"]))


def layer_metadata(path: Path, layer: str) -> Mapping[str, Any]:
    """Return the metadata of a layer; errors as of `list_layers`."""
    from clusternet.raster.vector_library import pyogrio

    with _opened(path) as source:
        return pyogrio.read_info(source, layer=layer)["layer_metadata"] or {}


@phases.during("reading")
def read_layer(path: Path, layer: str | None = None, *, quiet: bool = False) -> pd.DataFrame:
    """Read a layer; a geopandas frame if it holds geometries. Errors as of `list_layers`.

    An invalid geometry, such as a line of one point, becomes a missing one, with a warning unless
    ``quiet``.
    """
    path.stat()  # a missing file is told before libraries load, which takes long
    from clusternet.raster.vector_library import pyogrio

    said: list[str] = []
    with _opened(path, said) as source:
        try:
            frame = pyogrio.read_dataframe(source, layer=layer, on_invalid="warn")
        except Exception as error:
            if topic(error) != "PROJ":
                raise
            raise LabelError(
                f"{path}: its CRS cannot be read ({reason(error)}); {_SET_CRS}."
            ) from error
    if not quiet:
        _report(path, said)
    return frame


def _report(path: Path, said: Sequence[str]) -> None:
    damaged = [text for text in said if text.startswith("Invalid WKB")]
    if damaged:
        cause = one_line(damaged[0].rpartition("Exception: ")[2])
        logger.warning("%s: holds shapes that are damaged (%s).", path, cause)
    for text in said:
        if text not in damaged and "More than one layer" not in text:
            logger.warning("%s: %s", path, one_line(text))


@phases.during("writing")
def write_layer(frame: pd.DataFrame, path: Path, **options: Any) -> None:
    """Write a layer with ``pyogrio.write_dataframe``.

    Raises:
        OSError: if it cannot be written.
    """
    with warnings.catch_warnings():
        # shapes of a map without a CRS have none either
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        try:
            with _writable(path) as target:
                _write(frame, target, **options)
        except Exception as error:
            if not is_foreign(error):
                raise
            raise OSError(reason(error)) from error


def _write(frame: pd.DataFrame, target: str, **options: Any) -> None:
    from clusternet.raster.vector_library import pyogrio

    if frame.crs is None or _has_old_form(frame.crs):
        pyogrio.write_dataframe(frame, target, **options)
        return
    # write_dataframe passes the CRS as WKT1, which cannot express a rotated pole, for example.
    shapes = frame.geometry.name
    fields = [str(column) for column in frame.columns if column != shapes]
    values = [frame[field].to_numpy() for field in fields]
    geometries = shapely.to_wkb(frame.geometry.to_numpy())
    pyogrio.raw.write(target, geometries, values, fields, crs=frame.crs.to_wkt(), **options)


def _has_old_form(crs: Any) -> bool:
    """Tell whether a CRS can be written as WKT1."""
    try:
        return bool(crs.to_wkt("WKT1_GDAL"))
    except Exception as error:
        if is_foreign(error):
            return False
        raise


@contextmanager
def _writable(path: Path) -> Iterator[str]:
    """Yield a path to write to that pyogrio does not parse as an address; see `_Plain`.

    If the name has special characters, it is a symbolic link in a temporary folder.
    """
    text = plain_path(path, OutputError)
    if not set("!;?\t\r\n") & set(text):
        yield text
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / f"layers{path.suffix}"
        link.symlink_to(path.absolute())
        yield str(link)


class _Plain(str):
    """A path to read that pyogrio does not parse as an address.

    pyogrio parses ``!``, ``;`` and ``?`` in a path as in an address, unless the path starts with
    ``/vsi``, as GDAL's virtual files do. So this text claims to start with that.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return self

    def startswith(self, prefix: Any, *bounds: Any) -> bool:
        return prefix == "/vsi" or super().startswith(prefix, *bounds)


@contextmanager
def _opened(path: Path, said: list[str] | None = None) -> Iterator[_Plain]:
    """Check the content of a file, and yield the path that pyogrio may read in the block.

    Args:
        path: the file.
        said: a list to which GDAL's warnings are added; None drops them.
    """
    plain, state = _Plain(plain_path(path, LabelError)), path.stat()
    with (
        _alone(path),
        _with_crs(path),
        quiet_stderr(),  # GDAL prints messages there that pyogrio does not collect
        gdal_complaints() as heard,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        _check(path, state.st_size, state.st_mtime_ns)
        yield plain
    if said is not None:
        said += [str(warning.message) for warning in caught] + [c.text for c in heard]


@contextmanager
def _with_crs(path: Path) -> Iterator[None]:
    """Raise LabelError for a damaged CRS, on which pyogrio fails with an UnboundLocalError."""
    try:
        yield
    except UnboundLocalError as error:
        raise LabelError(f"{path}: its CRS cannot be read (damaged); {_SET_CRS}.") from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep GDAL from downloading the schema of a GML file, and remove the .gfs that it writes."""
    from clusternet.raster.vector_library import pyogrio

    if path.suffix.lower() != ".gml":
        yield
        return
    beside = path.with_suffix(".gfs")
    is_theirs = beside.exists()
    before = pyogrio.get_gdal_config_option("GML_DOWNLOAD_SCHEMA")
    pyogrio.set_gdal_config_options({"GML_DOWNLOAD_SCHEMA": False})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"GML_DOWNLOAD_SCHEMA": before})
        if not is_theirs:
            beside.unlink(missing_ok=True)


@lru_cache(maxsize=4)
def _check(path: Path, _size: int, _mtime_ns: int) -> None:
    """Refuse a file whose content is not what its suffix says.

    Size and modification time are arguments, so that the cache forgets a file that was changed.
    """
    suffix = path.suffix.lower()
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if any(mark in head for mark in _INDIRECT) and suffix != ".vrt":
        raise _no_vectors(path, "a text that names other places to read")
    if suffix in _KINDS:
        kind, has_begin, _ = _KINDS[suffix]
        if not has_begin(head):
            raise _no_vectors(path, f"no {kind}, though its name says so")
    if suffix in GEOJSON_SUFFIXES:
        _check_json(path)
    if suffix in _KINDS:
        kind, _, drivers = _KINDS[suffix]
        driver = _driver(path)
        if driver is not None and driver not in drivers:
            raise _no_vectors(path, f"no {kind} but {driver}")


def _driver(path: Path) -> str | None:
    """Return the driver that GDAL chooses; None if it cannot open the file or finds no layer."""
    from clusternet.raster.vector_library import pyogrio

    try:
        return str(pyogrio.read_info(_Plain(plain_path(path, LabelError)))["driver"])
    except Exception as error:
        if topic(error) in ("GDAL", "PROJ"):
            return None
        raise


def _no_vectors(path: Path, why: str) -> LabelError:
    return LabelError(
        f"{path}: cannot be read as vectors ({why}); expected the shapes themselves, as a "
        "shapefile, GeoPackage or GeoJSON."
    )


def _begins(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _has_root(*names: bytes) -> Callable[[bytes], bool]:
    return lambda head: any(b"<" + name in head or b":" + name in head for name in names)


_KINDS: dict[str, tuple[str, Callable[[bytes], bool], Sequence[str]]] = {
    ".gpkg": ("GeoPackage", _begins(b"SQLite format 3\0"), ("GPKG",)),
    ".shp": ("shapefile", _begins(b"\0\0\x27\x0a"), ("ESRI Shapefile",)),
    ".fgb": ("FlatGeobuf file", _begins(b"fgb"), ("FlatGeobuf",)),
    ".kml": ("KML file", _has_root(b"kml"), ("KML", "LIBKML")),
    ".gml": ("GML file", _has_root(b"FeatureCollection", b"gml"), ("GML",)),
    **dict.fromkeys(GEOJSON_SUFFIXES, ("GeoJSON file", lambda head: True, _JSON_DRIVERS)),
}
"""By suffix: name of the format, test of the first bytes, and drivers that may open it."""


def _check_json(path: Path) -> None:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _no_vectors(path, "its text is not encoded in UTF-8") from error
    for value in _json_values(path, text):
        if not isinstance(value, dict):
            raise _no_vectors(path, f"found {short_value(value)}")
        kind = value.get("type")
        # the JSON of Esri has "features" but no "type"
        if kind not in _JSON_TYPES and not (kind is None and "features" in value):
            raise _no_vectors(path, f"found the JSON type {short_value(kind)}")
        crs = value.get("crs")
        if isinstance(crs, dict) and str(crs.get("type")).lower() not in ("name", "epsg"):
            raise LabelError(
                f"{path}: states its CRS by a link, which is not followed; state it by name "
                "(urn:ogc:def:crs:EPSG::32631), or save the file again in QGIS."
            )


def _json_values(path: Path, text: str) -> list[Any]:
    """Return the value of a JSON text, or one value for each line of a GeoJSON text sequence."""
    try:
        return [json.loads(text)]
    except RecursionError as error:
        raise _no_vectors(path, "nested too deeply") from error
    except ValueError as error:
        try:
            lines = (line.strip("\x1e \t") for line in text.splitlines())
            return [json.loads(line) for line in lines if line] or [None]
        except (ValueError, RecursionError):
            raise _no_vectors(path, f"no JSON: {one_line(str(error))}") from error
