"""Cluster maps on disk: their metadata, and whether several come from the same run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from clusternet.errors import LabelError
from clusternet.files.outputs import KIND_TAG
from clusternet.legend.legend import MAX_CLUSTER
from clusternet.nodata import NodataChoice, declaring_hint
from clusternet.prediction.map_states import COUNT_TAG, RUN_TAG, raster_of
from clusternet.processes.progress import Progress
from clusternet.raster import Raster, RasterProfile, open_raster
from clusternet.raster.categories import check_lossless
from clusternet.types import BoolArray, IntArray
from clusternet.windows import Blocks, Window, blocks

WINDOW = (2048, 2048)
"""(rows, cols) of the windows that maps are read and written in."""


@dataclass(frozen=True)
class ClusterMap:
    """The metadata of a cluster map; its pixels stay on disk."""

    path: Path
    """The file."""
    profile: RasterProfile
    """Its grid."""
    run: str | None
    """Identity of the run that made it; None for maps of other programs."""
    num_clusters: int | None
    """Number of clusters of that run; None where the map does not state it."""
    raster: Path | None = None
    """The raster that it was made from; None where the map does not state it, or it is gone."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the file states of itself."""
    aoi: Path | None = None
    """File of polygons; pixels outside are read as nodata."""

    @property
    def num_pixels(self) -> int:
        """Rows times columns."""
        return self.profile.shape[0] * self.profile.shape[1]

    def windows(self) -> Blocks:
        """Return windows that cover the map once."""
        return blocks(self.profile.shape, WINDOW)

    def open(self) -> AbstractContextManager[Raster]:
        """Open the map for reading."""
        return open_raster(self.path, NodataChoice(aoi=self.aoi), codes=True)


def read_cluster_map(path: Path) -> ClusterMap:
    """Read the metadata of a cluster map.

    Raises:
        RasterError: if it cannot be read.
        LabelError: if it is no cluster map.
    """
    check_lossless(path, "a cluster map")
    with open_raster(path, codes=True) as raster:
        profile, tags = raster.profile, raster.tags
    kind = tags.get(KIND_TAG, "clusters")
    if kind != "clusters":
        raise LabelError(
            f"{path}: expected a cluster map as tools/full_prediction.py writes it, found a map "
            f"of {kind}."
        )
    if profile.num_bands != 1 or np.dtype(profile.dtype).kind not in "iu":
        raise LabelError(
            f"{path}: expected a cluster map (one band of whole numbers), found "
            f"{profile.num_bands} band(s) of {profile.dtype}."
        )
    count = tags.get(COUNT_TAG, "")
    num_clusters = int(count) if count.isdecimal() else None
    return ClusterMap(path, profile, tags.get(RUN_TAG), num_clusters, raster_of(path, tags), tags)


def read_clusters(raster: Raster, window: Window) -> tuple[IntArray, BoolArray]:
    """Read a window of an open cluster map: clusters and valid, (rows, cols) both.

    Raises:
        LabelError: if it holds values that are no cluster numbers.
    """
    pixels, valid = raster.read(window)
    values = pixels[..., 0]
    clusters = values[valid]
    for value in (clusters.min(), clusters.max()) if clusters.size else ():
        if not 0 <= value <= MAX_CLUSTER:
            raise LabelError(
                f"{raster.profile.path}: holds the value {value}; expected clusters from 0 to "
                f"{MAX_CLUSTER}. If it marks nodata, "
                f"{declaring_hint(raster.profile.path, value, raster.profile.nodata)}."
            )
    return np.where(valid, values, 0).astype(np.int32), valid


def common_run(maps: Sequence[ClusterMap]) -> str | None:
    """Return the identity of the run that all maps come from; None if no map states it.

    Raises:
        LabelError: if they come from several runs, whose cluster numbers are unrelated.
    """
    known = [cluster_map for cluster_map in maps if cluster_map.run is not None]
    for other in known[1:]:
        if other.run != known[0].run:
            raise LabelError(
                f"{other.path}: comes from another run than {known[0].path}; their clusters "
                "differ, so give the maps of one run at a time."
            )
    return known[0].run if known else None


def count_clusters(maps: Sequence[ClusterMap]) -> int:
    """Return the number of clusters; maps that do not state it are read through.

    Raises:
        LabelError: if a map holds values that are no cluster numbers.
    """
    # only maps of other programs lack the number
    stated = [m.num_clusters for m in maps if m.num_clusters is not None]
    silent = [m for m in maps if m.num_clusters is None]
    highest = max(stated, default=0) - 1
    with Progress(
        total=sum(m.num_pixels for m in silent), desc="count clusters", unit="px", unit_scale=True
    ) as bar:
        for cluster_map in silent:
            with cluster_map.open() as raster:
                for window in cluster_map.windows():
                    clusters, valid = read_clusters(raster, window)
                    highest = max(highest, int(clusters[valid].max(initial=-1)))
                    bar.update(clusters.size)
    if highest < 0:
        raise LabelError(f"{maps[0].path}: holds nodata only; expected a cluster map.")
    return highest + 1
