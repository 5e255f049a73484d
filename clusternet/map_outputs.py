"""Which maps are written for which rasters, refused before anything is loaded if they cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clusternet.errors import RunError
from clusternet.files import check_apart, check_open_folder
from clusternet.locks import claimed
from clusternet.raster import check_new_map, find_scenes

Jobs = list[tuple[Path, Path]]
"""(raster, its cluster map), for each raster."""
_HINT = "--overwrite replaces it, --skip_existing keeps it"


@dataclass(frozen=True)
class MapOptions:
    """What is written beside the cluster map, and how."""

    confidence: bool = False
    """Write ``<name>_confidence.tif``: 0 (two clusters as near) to 254 (certain)."""
    features: bool = False
    """Write ``<name>_features.tif``: one byte a feature, with the scale recorded."""
    cog: bool = False
    """Write cloud-optimised GeoTIFFs with overviews."""
    overwrite: bool = False
    """Replace existing maps."""
    skip_existing: bool = False
    """Leave rasters alone whose map exists, so that an interrupted folder can be gone on with."""


def map_paths(rasters: Sequence[Path], output_folder: Path) -> Jobs:
    """Return (raster, cluster map) for rasters and all rasters of folders; no two maps alike."""
    places: dict[Path, Path] = {}
    for given in rasters:
        root = given if given.is_dir() else given.parent
        for source in find_scenes(given):
            places[source] = output_folder / source.relative_to(root)
    stems = Counter(place.with_suffix("") for place in places.values())
    jobs = []
    for source, place in places.items():
        # scene.tif beside scene.png: the suffix tells them apart
        stem = place.stem if stems[place.with_suffix("")] == 1 else place.name
        jobs.append((source, place.with_name(f"{stem}_clusters.tif")))
    names = Counter(output for _, output in jobs)
    for source, output in jobs:
        if names[output] > 1:
            raise RunError(
                f"{source}: another raster given would write {output} too; predict them into "
                "different output folders."
            )
    return jobs


def map_files(output: Path, options: MapOptions) -> list[tuple[Path, str]]:
    """Return the maps that are written with a cluster map, and the tag of each, that one first."""
    name = output.stem.removesuffix("_clusters")
    asked = {"clusters": True, "features": options.features, "confidence": options.confidence}
    return [(output.with_name(f"{name}_{tag}.tif"), tag) for tag in asked if asked[tag]]


@dataclass(frozen=True)
class WantedMaps:
    """What is to be written."""

    jobs: Jobs
    num_kept: int
    """Maps that exist and are left alone."""


@contextmanager
def claim_maps(
    run: Path, rasters: Sequence[Path], output_folder: Path, options: MapOptions
) -> Iterator[WantedMaps]:
    """Find out which maps are wanted, and keep their folder for this process until they are there.

    Raises:
        ClusterNetError: naming the raster, or a map that exists, is an input, or cannot be written.
    """
    jobs = map_paths(rasters, output_folder)
    read = [*rasters, *(source for source, _ in jobs)]
    check_apart((output for _, output in jobs), (run, *read))
    with claimed(output_folder):
        wanted = jobs
        if options.skip_existing:
            wanted = [(source, output) for source, output in jobs if not output.exists()]
        for _, output in wanted if not options.skip_existing else ():
            for path, tag in map_files(output, options):
                check_new_map(path, tag, overwrite=options.overwrite, hint=_HINT)
        if wanted:
            check_open_folder(output_folder)
        yield WantedMaps(wanted, len(jobs) - len(wanted))
