"""QGIS style files (.qml). QGIS applies the one beside a map that has its name.

Without a style QGIS lists all 256 entries of an 8-bit colour table in the legend, and shows
polygons of all classes in one colour.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from clusternet.colours import RGB, as_hex
from clusternet.files.side_files import signature

Entry = tuple[int, str, RGB]
"""A pixel value or class number, its name and its colour."""

_SIGNATURE = b"\n<!-- ClusterNet "
# Only the category "Symbology", so that QGIS keeps other properties that a user sets for a layer.
_ROOT = {"version": "3.22.0", "styleCategories": "Symbology"}


def style_path(path: Path) -> Path:
    """Return the path where QGIS looks for the style of a raster or vector file."""
    return path.with_suffix(".qml")


def is_our_style(path: Path, of: Path, *, unsigned: str = "") -> bool:
    """Tell whether the style at ``path`` was written for the output ``of`` and not changed since.

    Args:
        path: the style, which need not exist.
        of: the raster or vector file.
        unsigned: accept also styles of earlier versions, which have no signature. The first
            element of those: ``pipe`` for rasters, ``renderer-v2`` for polygons. Empty accepts
            only signed styles.
    """
    try:
        content, mark, signed = path.read_bytes().rpartition(_SIGNATURE)
    except OSError:
        return False
    if mark:
        return signed.split()[0].decode(errors="replace") == signature(of, content)
    start = f'<qgis version="3.22.0" styleCategories="Symbology"><{unsigned}'
    return bool(unsigned) and signed.startswith(start.encode())


def write_raster_style(path: Path, of: Path, entries: Iterable[Entry]) -> None:
    """Write the style of a one-band map ``of`` that shows exactly these values in its legend."""
    root = Element("qgis", _ROOT)
    pipe = SubElement(root, "pipe")
    renderer = SubElement(pipe, "rasterrenderer", type="paletted", band="1", opacity="1",
                          alphaBand="-1")  # fmt: skip
    palette = SubElement(renderer, "colorPalette")
    for value, name, colour in entries:
        SubElement(palette, "paletteEntry", value=str(value), label=name, color=as_hex(colour),
                   alpha="255")  # fmt: skip
    _write(root, path, of)


def write_polygon_style(path: Path, of: Path, field: str, entries: Iterable[Entry]) -> None:
    """Write the style of polygons in the file ``of`` whose ``field`` holds one of these numbers."""
    root = Element("qgis", _ROOT)
    renderer = SubElement(root, "renderer-v2", type="categorizedSymbol", attr=field)
    categories, symbols = SubElement(renderer, "categories"), SubElement(renderer, "symbols")
    for index, (value, name, colour) in enumerate(entries):
        SubElement(categories, "category", value=str(value), label=name, symbol=str(index),
                   type="long", render="true")  # fmt: skip
        symbol = SubElement(symbols, "symbol", name=str(index), type="fill", alpha="1")
        layer = SubElement(symbol, "layer", {"class": "SimpleFill"}, enabled="1")
        red, green, blue = colour
        options = SubElement(layer, "Option", type="Map")
        for key, text in (("color", f"{red},{green},{blue},255"), ("style", "solid"),
                          ("outline_color", "40,40,40,255"), ("outline_width", "0.1"),
                          ("outline_style", "solid")):  # fmt: skip
            SubElement(options, "Option", name=key, type="QString", value=text)
    _write(root, path, of)


def write_form_style(
    path: Path, of: Path, *, choices: tuple[str, Iterable[str]], hidden: Iterable[str]
) -> None:
    """Write the style of points in the file ``of``, with the form in which QGIS edits them.

    Args:
        path: the style.
        of: the vector file.
        choices: a field, and the values that a list offers for it.
        hidden: fields that the form and the table do not show.
    """
    root = Element("qgis", version="3.22.0", styleCategories="Fields|Forms|AttributeTable")
    fields, hidden = SubElement(root, "fieldConfiguration"), list(hidden)
    chosen, values = choices
    widget = SubElement(SubElement(fields, "field", name=chosen), "editWidget", type="ValueMap")
    options = SubElement(SubElement(widget, "config"), "Option", type="Map")
    listed = SubElement(options, "Option", name="map", type="List")
    for value in values:
        SubElement(SubElement(listed, "Option", type="Map"), "Option", name=value, type="QString",
                   value=value)  # fmt: skip
    for field in hidden:
        widget = SubElement(SubElement(fields, "field", name=field), "editWidget", type="Hidden")
        SubElement(SubElement(widget, "config"), "Option")
    table = SubElement(root, "attributetableconfig")
    columns = SubElement(table, "columns")
    for field in hidden:
        SubElement(columns, "column", type="field", name=field, hidden="1", width="-1")
    _write(root, path, of)


def _write(root: Element, path: Path, of: Path) -> None:
    content = tostring(root, encoding="utf-8")
    path.write_bytes(content + _SIGNATURE + f"{signature(of, content)} -->\n".encode())
