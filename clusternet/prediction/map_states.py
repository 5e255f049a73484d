"""Whether a map exists already: of this run and this raster, with all maps beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from clusternet.errors import RasterError
from clusternet.files.outputs import KIND_TAG
from clusternet.locations import RemotePath, state_of
from clusternet.raster import one_scene
from clusternet.raster.category_names import side_file_path
from clusternet.raster.map_files import map_kind
from clusternet.raster.opening import open_dataset
from clusternet.raster.styles import style_path
from clusternet.scene_rule import SceneRule

RUN_TAG, COUNT_TAG = "CLUSTERNET_RUN", "CLUSTERNET_CLUSTERS"
_ASSIGN_TAG, _RASTER_TAG = "CLUSTERNET_ASSIGN", "CLUSTERNET_RASTER"
_AOI_TAG = "CLUSTERNET_AOI"
_PLACE_TAG = "CLUSTERNET_RASTER_PATH"
SIDES = ("features", "confidence")
"""Kinds of maps that may be written beside a cluster map."""


def made_from(source: Path, run: str, assign: str, aoi: Path | None = None) -> dict[str, str]:
    """Return the tags that identify the raster, the run and the options of a map.

    Args:
        source: the raster; its name, size and modification time identify its content.
        run: identity of the codebook, or of the class head.
        assign: ``codebook``, ``head`` or ``classes``.
        aoi: the file of polygons outside of which the map is nodata; None if there is none.
    """
    raster = f"{_name_and_size(source)}, changed at {state_of(source)[1]} ns"
    area = "" if aoi is None else f"{_name_and_size(aoi)}, changed at {state_of(aoi)[1]} ns"
    return {RUN_TAG: run, _ASSIGN_TAG: assign, _RASTER_TAG: raster, _AOI_TAG: area}


def _name_and_size(source: Path) -> str:
    if isinstance(source, RemotePath):
        return f"{source}, at its address"
    return f"{source.name}, {state_of(source)[0]} bytes"


def is_another_raster(source: Path, tags: Mapping[str, str]) -> bool:
    """Return whether a map states that it was made from a file of another name or size.

    The time of the last change may differ: copies get a new one.
    """
    stated = tags.get(_RASTER_TAG)
    return stated is not None and not stated.startswith(_name_and_size(source) + ",")


def found_at(source: Path, output: Path) -> dict[str, str]:
    """Return the tag that says where the raster of a map lies.

    It says nothing of what the map holds: a raster that moves with its maps is the same raster.

    Args:
        source: the raster.
        output: the map; the tag holds the way from its folder.
    """
    if isinstance(source, RemotePath):
        return {_PLACE_TAG: str(source)}
    try:
        place = os.path.relpath(source.resolve(), output.parent.resolve())
    except ValueError:  # on another drive
        place = str(source.resolve())
    return {_PLACE_TAG: Path(place).as_posix()}


def raster_of(cluster_map: Path, tags: Mapping[str, str]) -> Path | None:
    """Return the raster that a map was made from, if the map says where it is and it is there.

    An address that a map states is not opened: nobody typed it.
    """
    if not tags.get(_PLACE_TAG):
        return None
    path = Path(os.path.normpath(cluster_map.parent.resolve() / tags[_PLACE_TAG]))
    return path if path.is_file() else None


def stack_of(cluster_map: Path, tags: Mapping[str, str], rule: SceneRule) -> Path | None:
    """Return the scene of separate files that a map was made from, if its files are there."""
    if not tags.get(_PLACE_TAG):
        return None
    name = Path(os.path.normpath(cluster_map.parent.resolve() / tags[_PLACE_TAG]))
    if not name.parent.is_dir():  # an address that a map states is not opened
        return None
    try:
        return one_scene(name, rule)
    except RasterError:
        return None


def why_not_done(files: Iterable[tuple[Path, str]], tags: Mapping[str, str], cog: bool) -> str:
    """Return the reason why a map must be written again; empty if it need not be.

    Args:
        files: the map and the maps beside it, and the kind of each.
        tags: the tags that they should have, see `made_from`.
        cog: True if they should be cloud-optimised.
    """
    for path, kind in files:
        if not path.exists():
            return f"{path.name} is missing"
        try:
            with open_dataset(path) as dataset:
                # GDAL's COG driver writes LAYOUT=COG into the domain IMAGE_STRUCTURE.
                stored, layout = dataset.tags(), dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT")
        except RasterError:
            return f"{path.name} cannot be read"
        for name, value in {KIND_TAG: kind, **tags}.items():
            if stored.get(name, "") != value:
                return f"{path.name} {_OTHERS.get(name, 'is something else')}"
        if cog and layout != "COG":
            return f"{path.name} is not cloud-optimised"
        if kind not in SIDES and not (side_file_path(path).exists() or style_path(path).exists()):
            return f"{path.name} has no names and no style"  # killed right before they appeared
    return ""


_OTHERS = {
    RUN_TAG: "is of another run",
    _ASSIGN_TAG: "was assigned otherwise",
    _AOI_TAG: "is of another --aoi",
    _RASTER_TAG: "is of another raster, or of an earlier state of it",
}


def stale_sides(main_map: Path) -> list[Path]:
    """Return the maps beside a cluster or class map that become outdated when it is replaced."""
    name = main_map.stem.rpartition("_")[0]
    sides = [(main_map.with_name(f"{name}_{kind}.tif"), kind) for kind in SIDES]
    return [path for path, kind in sides if path.exists() and map_kind(kind).owns(path)]
