"""Match label files and maps by base name, without suffixes such as ``_mask``."""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from clusternet.errors import LabelError
from clusternet.files.folders import check_readable, first_names, search_folder
from clusternet.files.virtual import read_sources
from clusternet.locations import location
from clusternet.raster import find_rasters, inner_paths, warn_of_orientation
from clusternet.raster.endings import LABEL_SUFFIXES
from clusternet.raster.finding import report_forbidden, report_left_out
from clusternet.raster.lists import common_folder, is_list

logger = logging.getLogger(__name__)

Pair = tuple[Path, Path]

_WORD = r"(clusters?|class(es)?|maps?|pred(iction)?s?|masks?|labels?|gt|(ground)?_?truth|reference)"
_KNOWN_SUFFIXES = re.compile(rf"([_\-. ]{_WORD})+$", re.IGNORECASE)
_NOT_MAPS = re.compile(r"[_\-. ](confidence|features?)$", re.IGNORECASE)
_FREE_SUFFIX = re.compile(r"[_\-. ][A-Za-z]")  # a digit would be the number of another scene
_PREFERRED = (".tif", ".tiff")


def pair_files(maps: Path, labels: Path) -> list[Pair]:
    """Find the label file of each map.

    A single label file goes with every map. In a folder (searched with the folders below it) a
    label file belongs to a map of the same base name: suffixes such as ``_clusters``,
    ``_classes`` or ``_mask`` do not count on either side, and a map may carry any other suffix
    that starts with a letter, such as ``_v2``. The same relative folder is preferred. Maps
    without labels are left out with a warning; confidence and feature rasters are no maps.

    Args:
        maps: a map, or a folder of maps.
        labels: a label raster or vector file, or a folder of them.

    Returns:
        (map, label file) pairs, sorted by map.

    Raises:
        RasterError: if there are no maps.
        LabelError: if there are no labels, none fits, or two fit the same map.
    """
    map_files = find_maps(maps)
    if labels.is_file() and not is_list(labels):
        warn_of_orientation([*map_files, labels])
        return [(path, labels) for path in map_files]
    if labels.resolve() == maps.resolve():
        raise LabelError(f"{labels}: expected labels in another folder than the maps.")
    index = _LabelIndex(labels)
    inner = dict(zip(map_files, inner_paths(maps, map_files), strict=True))
    label_of = {path: index.find(inner[path]) for path in map_files}
    # Exact base names come first; only then a label file may match a longer map name.
    claimed = {label for label in label_of.values() if label is not None}
    for path, label in label_of.items():
        if label is None:
            label_of[path] = index.find_longest_start(inner[path], claimed)
    pairs = [(path, label) for path, label in label_of.items() if label is not None]
    warn_of_orientation(path for pair in pairs for path in pair)
    _report_unmatched([path for path, label in label_of.items() if label is None], maps, labels)
    _report_unused(index.files - {label for _, label in pairs}, labels)
    return pairs


def base_name(path: Path) -> str:
    """Return the file name without ending and without words such as ``_clusters`` or ``_mask``."""
    return _KNOWN_SUFFIXES.sub("", path.stem) or path.stem


def find_maps(maps: Path) -> list[Path]:
    """Return ``maps`` itself, or the maps below it: no previews, confidence or feature rasters.

    Raises:
        RasterError: if there are none.
    """
    if maps.is_file() and not is_list(maps):
        return [location(maps)]
    rasters = [path for path in find_rasters(maps) if not _NOT_MAPS.search(path.stem)]
    rasters = _without_mosaics(rasters)
    # A picture beside a GeoTIFF of the same name is a preview of it.
    georeferenced = {p.with_suffix("") for p in rasters if p.suffix.lower() in _PREFERRED}
    return [
        path
        for path in rasters
        if path.suffix.lower() in _PREFERRED or path.with_suffix("") not in georeferenced
    ]


def _without_mosaics(rasters: Sequence[Path]) -> list[Path]:
    """Leave out virtual rasters that are made of other maps, whose pixels would count twice."""
    real = {Path(os.path.realpath(path)) for path in rasters}
    return [
        path for path in rasters if not {source for _, source in read_sources(path) or ()} & real
    ]


def labels_of_scenes(scenes: Sequence[Path], labels: Path) -> dict[Path, Path]:
    """Find the label file of each scene by name alone; the scenes need not be there.

    Names are matched as in `pair_files`.

    Args:
        scenes: paths of rasters, relative to the folder that they lie in.
        labels: a label raster or vector file, which goes with every scene, or a folder of them.

    Returns:
        the label file of each scene that has one.

    Raises:
        LabelError: if there are no labels, or two fit the same scene.
    """
    if labels.is_file():
        return dict.fromkeys(scenes, labels)
    index = _LabelIndex(labels)
    found = {scene: index.find(scene) for scene in scenes}
    claimed = {label for label in found.values() if label is not None}
    for scene in scenes:
        found[scene] = found[scene] or index.find_longest_start(scene, claimed)
    pairs = {scene: label for scene, label in found.items() if label is not None}
    _report_unused(index.files - set(pairs.values()), labels)
    return pairs


class _LabelIndex:
    """The label files of a folder by base name."""

    def __init__(self, folder: Path) -> None:
        self._by_base: dict[str, list[Path]] = defaultdict(list)
        if is_list(folder):
            listed = find_rasters(folder)
            self.folder = common_folder(listed)
            for path in listed:
                self._by_base[base_name(path)].append(path)
            return
        if not folder.is_dir():
            raise LabelError(f"{folder}: no such file or folder of labels.")
        self.folder = folder
        search = search_folder(folder)
        check_readable(folder, search, LabelError)
        report_forbidden(folder, search)
        report_left_out(folder, search, LABEL_SUFFIXES)
        for path in search.files:
            if path.suffix.lower() in LABEL_SUFFIXES:
                self._by_base[base_name(path)].append(path)
        if not self._by_base:
            endings = ", ".join(LABEL_SUFFIXES)
            raise LabelError(f"{folder}: no label file found; expected files ending in {endings}.")

    @property
    def files(self) -> set[Path]:
        """All label files."""
        return {path for paths in self._by_base.values() for path in paths}

    def find(self, map_path: Path) -> Path | None:
        """Return the label file with the base name of a map (given relative to its folder)."""
        candidates = self._by_base.get(base_name(map_path), [])
        return only_one(candidates, self.folder, map_path)

    def find_longest_start(self, map_path: Path, claimed: set[Path]) -> Path | None:
        """Return the label file whose base name starts the map's name, if no other map has it.

        Label files in ``claimed`` already belong to another map. If ``area_clusters`` has the
        labels ``area``, then ``area_north_clusters`` is another scene without labels.
        """
        starts = [
            base
            for base in self._by_base
            if map_path.stem.startswith(base) and _FREE_SUFFIX.match(map_path.stem[len(base) :])
        ]
        if not starts:
            return None
        label = self.find(map_path.with_name(max(starts, key=len) + map_path.suffix))
        return None if label in claimed else label


def only_one(candidates: Sequence[Path], folder: Path, image: Path) -> Path | None:
    """Return the label file of a map or image; None if there are no candidates.

    Args:
        candidates: label files of its base name, in ``folder`` and the folders below it.
        folder: the folder of labels.
        image: path of the map or image, relative to its own folder. Labels in the same relative
            folder are preferred.

    Raises:
        LabelError: if several candidates are left.
    """
    nearby = [path for path in candidates if path.parent == folder / image.parent]
    matching = nearby or candidates
    if len(matching) > 1:
        names = " and ".join(str(path.relative_to(folder)) for path in matching[:2])
        raise LabelError(
            f"{folder}: expected one label file for {image}, found {names}; move the others away."
        )
    return matching[0] if matching else None


def _report_unmatched(unmatched: list[Path], maps: Path, labels: Path) -> None:
    if not unmatched:
        return
    names = ", ".join(path.name for path in unmatched[:3])
    if len(unmatched) > 3:
        names += ", ..."
    total = len(find_maps(maps))
    if len(unmatched) == total:
        raise LabelError(
            f"{labels}: no label file is named like one of the {total} map(s) in {maps} "
            f"({names}); expected, for a.tif or a_clusters.tif, a.png or a_mask.tif."
        )
    logger.warning(
        "%d of %d maps have no labels in %s and are left out: %s",
        len(unmatched), total, labels, names,
    )  # fmt: skip


def _report_unused(unused: set[Path], labels: Path) -> None:
    if unused:
        logger.info("%s: %d label file(s) belong to none of the maps and are left out: %s",
                    labels, len(unused), first_names(sorted(unused), labels))  # fmt: skip
