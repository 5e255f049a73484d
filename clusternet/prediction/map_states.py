"""Whether a map is there already: of this run, of this raster as it is now, and with its sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from clusternet.errors import RasterError
from clusternet.files.outputs import KIND_TAG
from clusternet.raster.map_files import map_kind
from clusternet.raster.opening import open_dataset

RUN_TAG, COUNT_TAG = "CLUSTERNET_RUN", "CLUSTERNET_CLUSTERS"
_ASSIGN_TAG, _RASTER_TAG = "CLUSTERNET_ASSIGN", "CLUSTERNET_RASTER"
SIDES = ("features", "confidence")
"""What may be written beside a cluster map."""


def made_from(source: Path, run: str, assign: str) -> dict[str, str]:
    """Return the tags that say what a map was made from.

    Args:
        source: the raster; its name, its size and the time of its last change stand for it.
        run: identity of the codebook.
        assign: ``codebook`` or ``head``.
    """
    status = source.stat()
    raster = f"{source.name}, {status.st_size} bytes, changed at {status.st_mtime_ns} ns"
    return {RUN_TAG: run, _ASSIGN_TAG: assign, _RASTER_TAG: raster}


def why_not_done(files: Iterable[tuple[Path, str]], tags: Mapping[str, str], cog: bool) -> str:
    """Return what a map lacks to be the one that is wanted; nothing if it is there.

    Args:
        files: the map and its sides, and the kind of each.
        tags: see `made_from`.
        cog: a cloud-optimised one is wanted.
    """
    for path, kind in files:
        if not path.exists():
            return f"{path.name} is missing"
        try:
            with open_dataset(path) as dataset:
                found, layout = dataset.tags(), dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT")
        except RasterError:
            return f"{path.name} cannot be read"
        for name, value in {KIND_TAG: kind, **tags}.items():
            if found.get(name) != value:
                return f"{path.name} {_OTHERS.get(name, 'is something else')}"
        if cog and layout != "COG":
            return f"{path.name} is not cloud-optimised"
    return ""


_OTHERS = {
    RUN_TAG: "is of another run",
    _ASSIGN_TAG: "was assigned otherwise",
    _RASTER_TAG: "is of another raster, or of an earlier state of it",
}


def stale_sides(cluster_map: Path) -> list[Path]:
    """Return what lies beside a map that is to be replaced, and would speak of the old one."""
    name = cluster_map.stem.removesuffix("_clusters")
    sides = [(cluster_map.with_name(f"{name}_{kind}.tif"), kind) for kind in SIDES]
    return [path for path, kind in sides if path.exists() and map_kind(kind).owns(path)]
