"""GDAL's side file (``.aux.xml``) of our maps: what GeoTIFF has no place for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring, tostring

from clusternet.files.side_files import signature

_DOMAIN, _KEY = "CLUSTERNET", "SIGNATURE"
_COMPUTED = ("STATISTICS_",)  # what GDAL adds by itself when somebody looks at a map


def side_file_path(path: Path) -> Path:
    """Return where GDAL looks for the side file of a raster."""
    return path.with_name(path.name + ".aux.xml")


def write_side_file(
    path: Path, of: Path, names: Sequence[str] | None, reference: Sequence[Element] = ()
) -> None:
    """Write what the raster ``of`` cannot hold itself.

    Without an XML declaration: behind one GDAL does not read the file.

    Args:
        path: the side file.
        of: the raster.
        names: of its values, from 0 on; None for none.
        reference: see `clusternet.raster.side_reference.lost_reference`.
    """
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
    """Tell whether a side file holds nothing but what we gave ``of``, unchanged.

    Statistics and histograms, which GDAL puts there when a map is looked at, may stand beside
    them.

    Args:
        path: the side file, which need not exist.
        of: the raster.
        unsigned: take also names without a signature, as earlier versions wrote them.
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
    found = dataset.findall("PAMRasterBand[@band='1']/CategoryNames/Category")
    texts = [item.text or "" for item in found]
    texts += [item.text or "" for item in dataset.findall("SRS")]
    texts += [item.get("Projection", "") for item in dataset.findall("GCPList")]
    return signature(of, "\n".join(texts).encode())


def _is_usual(child: Element) -> bool:
    """Tell whether a part of the file is ours, or was computed from the pixels."""
    if child.tag in ("SRS", "GCPList"):
        return True
    if child.tag == "Metadata":
        return child.get("domain") == _DOMAIN or all(map(_is_computed, child))
    return child.tag == "PAMRasterBand" and all(
        part.tag in ("CategoryNames", "Histograms")
        or (part.tag == "Metadata" and all(map(_is_computed, part)))
        for part in child
    )


def _is_computed(item: Element) -> bool:
    return item.get("key", "").startswith(_COMPUTED)
