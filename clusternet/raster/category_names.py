"""GDAL's sidecar file (``.aux.xml``) of our maps: metadata that a GeoTIFF cannot hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring, tostring

from clusternet.files.side_files import signature

_DOMAIN, _KEY = "CLUSTERNET", "SIGNATURE"
_COMPUTED = ("STATISTICS_",)  # metadata that GDAL adds when a program computes statistics


def side_file_path(path: Path) -> Path:
    """Return the path where GDAL looks for the sidecar file of a raster."""
    return path.with_name(path.name + ".aux.xml")


def write_side_file(
    path: Path, of: Path, names: Sequence[str] | None, reference: Sequence[Element] = ()
) -> None:
    """Write the sidecar file of the raster ``of``.

    Args:
        path: the sidecar file.
        of: the raster.
        names: name of each value from 0 on; None for none.
        reference: see `clusternet.raster.side_reference.lost_reference`.
    """
    # No XML declaration: GDAL does not read the file if it starts with one.
    dataset = Element("PAMDataset")
    dataset.extend(reference)
    if names is not None:
        band = SubElement(dataset, "PAMRasterBand", band="1")
        categories = SubElement(band, "CategoryNames")
        for name in names:
            SubElement(categories, "Category").text = name
    metadata = SubElement(dataset, "Metadata", domain=_DOMAIN)
    SubElement(metadata, "MDI", key=_KEY).text = _signature(of, dataset)
    path.write_bytes(tostring(dataset, encoding="utf-8") + b"\n")


def is_our_side_file(path: Path, of: Path, *, unsigned: bool = False) -> bool:
    """Tell whether we wrote the sidecar file of the raster ``of``, and nobody changed it.

    Statistics and histograms, which GDAL adds when a program displays a map, are allowed.

    Args:
        path: the sidecar file, which need not exist.
        of: the raster.
        unsigned: accept also a file without a signature, as earlier versions wrote it.
    """
    try:
        dataset = fromstring(path.read_bytes())  # noqa: S314  no entities: read as XML alone
    except (OSError, LookupError, ParseError, ValueError):
        return False
    signed = [item.text for item in dataset.findall(f"Metadata[@domain='{_DOMAIN}']/MDI")]
    if dataset.tag != "PAMDataset" or not all(_is_usual(child) for child in dataset):
        return False
    return signed == [_signature(of, dataset)] if signed else unsigned


def _signature(of: Path, dataset: Element) -> str:
    categories = dataset.findall("PAMRasterBand[@band='1']/CategoryNames/Category")
    texts = [item.text or "" for item in categories]
    texts += [item.text or "" for item in dataset.findall("SRS")]
    texts += [item.get("Projection", "") for item in dataset.findall("GCPList")]
    return signature(of, "\n".join(texts).encode())


def _is_usual(child: Element) -> bool:
    """Tell whether an element of the file is ours, or was computed from the pixels."""
    if child.tag in ("SRS", "GCPList"):
        return True
    if child.tag == "Metadata":
        return child.get("domain") == _DOMAIN or all(map(_is_computed, child))
    return child.tag == "PAMRasterBand" and all(
        element.tag in ("CategoryNames", "Histograms")
        or (element.tag == "Metadata" and all(map(_is_computed, element)))
        for element in child
    )


def _is_computed(item: Element) -> bool:
    return item.get("key", "").startswith(_COMPUTED)
