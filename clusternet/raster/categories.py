"""Class names and colours of maps and label rasters, and whether their values are exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from rasterio.io import DatasetReader

from clusternet.colours import RGB
from clusternet.errors import LabelError
from clusternet.foreign_errors import converted, reason
from clusternet.legend.names import clean_name, is_made_up
from clusternet.raster.endings import PNG_START
from clusternet.raster.opening import open_dataset
from clusternet.raster.palette import colour_table
from clusternet.raster.vector_files import read_layer

_NAME, _MIN, _MIN_MAX = 2, 3, 5  # usages of columns: GFU_Name, GFU_Min and GFU_MinMax of GDAL
_NAME_COLUMNS = ("class_name", "classname", "class", "name", "label", "description")
"""Columns of ArcGIS' tables that are taken for the names, the first one first; else any text."""
_LOSSY_DRIVERS = ("JPEG", "WEBP")
_JPEG_ENDINGS = (".jpg", ".jpeg")


def read_categories(path: Path) -> tuple[dict[int, str], dict[int, RGB]]:
    """Return the class names and colours that a raster states; see `read_names`.

    Raises:
        LabelError: if the sidecar file is damaged.
        RasterError: if the raster cannot be read.
    """
    names = read_names(path)
    with open_dataset(path) as dataset:
        colours = {value: colour[:3] for value, colour in colour_table(dataset, 1).items()}
    return names, colours


def read_names(path: Path) -> dict[int, str]:
    """Return the class names of a raster, without opening it.

    They are read from ``<path>.aux.xml``, or from the file itself if it is a VRT. There they are
    category names or a raster attribute table. They may also be in the table that ArcGIS writes,
    ``<path>.vat.dbf``. Empty names and names such as ``class 3``, which only repeat the number,
    are left out.

    Raises:
        LabelError: if the sidecar file is damaged.
    """
    names = dict(_named(_arcgis_table(path), path))
    for source in _xml_files(path):
        try:
            # a file of GDAL; the standard library's parser resolves no external entities
            root = ElementTree.parse(source).getroot()  # noqa: S314
        except (ElementTree.ParseError, LookupError, OSError, ValueError) as error:
            raise LabelError(
                f"{source}: the class names of {path.name} cannot be read ({reason(error)}); "
                "remove this file, or write it anew."
            ) from error
        names |= dict(_names(root, source))
    return names


def _xml_files(path: Path) -> Iterator[Path]:
    if path.suffix.lower() == ".vrt":
        yield path
    side_file = path.with_name(path.name + ".aux.xml")
    if side_file.is_file():
        yield side_file


def _names(root: ElementTree.Element, source: Path) -> Iterator[tuple[int, str]]:
    for kind in ("PAMRasterBand", "VRTRasterBand"):
        for band in root.findall(f"./{kind}[@band='1']"):
            yield from _named((*_table(band), *_categories(band)), source)


def _named(entries: Iterable[tuple[int, str]], source: Path) -> Iterator[tuple[int, str]]:
    """Yield entries whose name is neither empty nor only the number."""
    for value, text in entries:
        name = clean_name(text, source)
        if name and value >= 0 and not is_made_up(value, name):
            yield value, name


def _arcgis_table(path: Path) -> Iterator[tuple[int, str]]:
    """Yield value and name of each row of the table that ArcGIS writes beside a raster.

    Raises:
        LabelError: if the table cannot be read.
    """
    beside = [path.with_name(f"{path.name}.vat.dbf"), path.with_suffix(".vat.dbf")]
    table = next((file for file in beside if file.is_file()), None)
    if table is None:
        return
    from pandas.api.types import is_string_dtype  # here, because it takes long to load

    lost = f"{table}: is no table of names for {path.name}; remove this file, or write it anew"
    with converted(LabelError, lost):
        frame = read_layer(table)
    columns = {str(column).lower(): column for column in frame.columns}
    texts = [name for name, column in columns.items() if is_string_dtype(frame[column])]
    named = next((name for name in _NAME_COLUMNS if name in texts), next(iter(texts), None))
    if "value" in columns and named is not None:
        rows = frame[[columns["value"], columns[named]]].dropna()
        for value, name in rows.itertuples(index=False):
            if float(value).is_integer():
                yield int(value), str(name)


def _categories(band: ElementTree.Element) -> Iterable[tuple[int, str]]:
    entries = band.findall("./CategoryNames/Category")
    return ((value, entry.text or "") for value, entry in enumerate(entries))


def _table(band: ElementTree.Element) -> Iterator[tuple[int, str]]:
    """Yield value and name of each row of a raster attribute table that has both."""
    table = band.find("./GDALRasterAttributeTable")
    if table is None:
        return
    uses = [(column.findtext("Usage") or "").strip() for column in table.findall("./FieldDefn")]
    at_name = [index for index, use in enumerate(uses) if use == str(_NAME)]
    at_value = [index for index, use in enumerate(uses) if use in (str(_MIN), str(_MIN_MAX))]
    if not (at_name and at_value):
        return
    for row in table.findall("./Row"):
        cells = [(cell.text or "").strip() for cell in row.findall("./F")]
        if len(cells) == len(uses):
            number = cells[at_value[0]].removesuffix(".0")  # a column may be of reals
            if number.isascii() and number.isdigit() and len(number) < 10:
                yield int(number), cells[at_name[0]]


def check_lossless(path: Path, what: str = "labels") -> None:
    """Raise LabelError if a raster was compressed in a way that changes its values.

    Args:
        path: the raster.
        what: what its values should be, for the message.

    Raises:
        LabelError: if it is JPEG or the like.
        RasterError: if it cannot be read.
    """
    if _is_png(path):  # a quick answer for thousands of label patches: PNG is always lossless
        return
    with open_dataset(path) as dataset:
        lossy = _lossy_compression(dataset)
    if lossy:
        raise LabelError(
            f"{path}: cannot serve as {what}: {lossy} compression changes class numbers. Save the "
            "original anew as PNG or as GeoTIFF with deflate."
        )


def _is_png(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(PNG_START)) == PNG_START
    except OSError:
        return False


def _lossy_compression(dataset: DatasetReader) -> str | None:
    """Return the name of a compression that changes values, None if there is none."""
    tags = dataset.tags(ns="IMAGE_STRUCTURE")
    kind = str(tags.get("COMPRESSION", dataset.driver)).upper()
    reversible = str(tags.get("COMPRESSION_REVERSIBILITY", "")).upper()
    if reversible.startswith("LOSSLESS"):
        return None
    if reversible.startswith("LOSSY"):
        return kind.removesuffix("OPENJPEG")
    if "JPEG" in kind.split() or kind in _LOSSY_DRIVERS:
        return kind
    # LERC changes values by up to MAX_Z_ERROR: below 0.5, whole numbers stay the same
    if kind.startswith("LERC") and _as_float(tags.get("MAX_Z_ERROR", "0")) >= 0.5:
        return kind
    if any(Path(name).suffix.lower() in _JPEG_ENDINGS for name in dataset.files[1:]):
        return "JPEG"  # a source file of a VRT
    return None


def _as_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
