"""Maps as files: the tag that shows that they are ours, and their sidecar files and styles."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from xml.etree.ElementTree import Element

from clusternet.files.outputs import KIND_TAG, Kind, check_new, readable_os_errors
from clusternet.files.side_files import check_side_file, new_side_file
from clusternet.raster.category_names import (
    is_our_side_file,
    side_file_path,
    write_side_file,
)
from clusternet.raster.opening import open_dataset
from clusternet.raster.styles import Entry, is_our_style, style_path, write_raster_style
from clusternet.types import UInt8Array

logger = logging.getLogger(__name__)


def map_kind(tag: str) -> Kind:
    """Return the kind of maps with this tag: clusters, classes, labels, confidence or features.

    An empty tag gives a kind whose files are never replaced.
    """

    def is_one(path: Path) -> bool:
        with open_dataset(path) as dataset:
            return bool(tag) and dataset.tags().get(KIND_TAG) == tag

    return Kind(f"map of {tag}" if tag else "map", is_one)


def check_new_map(
    path: Path, tag: str, *, overwrite: bool, hint: str = "--overwrite replaces it"
) -> None:
    """Refuse a map that exists, or whose sidecar files of ours exist, before any work is done.

    Raises:
        OutputError: if one exists and ``overwrite`` is false, or is not ours.
    """
    kind = map_kind(tag)
    check_new(path, kind=kind, overwrite=overwrite, hint=hint)
    for side_file, is_ours in _side_files(path, kind):
        check_side_file(side_file, is_ours=is_ours, overwrite=overwrite)


def _side_files(path: Path, kind: Kind) -> list[tuple[Path, bool]]:
    """Return the sidecar file and the style of a map, and for each whether we wrote it."""
    # earlier versions wrote both without a signature, beside maps that have our tag
    unsigned = kind.owns(path)
    names, style = side_file_path(path), style_path(path)
    return [
        (names, is_our_side_file(names, path, unsigned=unsigned)),
        (style, is_our_style(style, path, unsigned="pipe" if unsigned else "")),
    ]


def our_side_files(path: Path, kind: Kind) -> list[Path]:
    """Return what lies beside a map, speaks of it and was written by us."""
    return [side_file for side_file, is_ours in _side_files(path, kind) if is_ours]


@contextmanager
def map_side_files(
    path: Path,
    kind: Kind,
    colours: UInt8Array | None,
    names: Sequence[str] | None,
    reference: Sequence[Element],
    *,
    overwrite: bool,
) -> Iterator[None]:
    """Write the sidecar file and style of a map; they appear when the block ends.

    GDAL's sidecar file holds the category names, for which GeoTIFF has no tag, and a ``reference``
    that GeoTIFF would lose (see `clusternet.raster.side_reference`). If a map is replaced, our
    sidecar file of the old map is always removed.
    """
    (names_path, names_ours), (style_file, style_ours) = _side_files(path, kind)
    _warn_of_overviews(path)
    side_file = None
    with ExitStack() as stack:
        if names is not None or reference:
            also = "the CRS and " if reference else ""
            new = new_side_file(
                names_path, is_ours=names_ours, overwrite=overwrite,
                lacks=f"programs show what it says, not {also}the names of the new map",
            )  # fmt: skip
            side_file = stack.enter_context(new)
        if colours is not None:
            new = new_side_file(
                style_file, is_ours=style_ours, overwrite=overwrite,
                lacks="QGIS shows the new map as it says",
            )  # fmt: skip
            if (hidden_path := stack.enter_context(new)) is not None:
                write_raster_style(hidden_path, path, _style_entries(colours, names))
        with readable_os_errors(path):  # so that errors of the map name the map
            yield
        if side_file is not None:  # last, because GDAL may change it while the map is open
            write_side_file(side_file, path, names, reference)
    if names is None and not reference and names_ours:
        names_path.unlink(missing_ok=True)


def _warn_of_overviews(path: Path) -> None:
    overviews = path.with_name(path.name + ".ovr")
    if overviews.exists():
        logger.warning(
            "%s: kept, since ClusterNet did not write it; programs show it instead of the new map "
            "where they look from afar, so delete it.", overviews,
        )  # fmt: skip


def _style_entries(colours: UInt8Array, names: Sequence[str] | None) -> Iterator[Entry]:
    """Yield the values that have a name; if there are no names, those with a colour."""
    for value, (red, green, blue) in enumerate(colours.tolist()):
        if names is None and red + green + blue:
            yield value, str(value), (red, green, blue)
        elif names is not None and value < len(names) and names[value]:
            yield value, names[value], (red, green, blue)
