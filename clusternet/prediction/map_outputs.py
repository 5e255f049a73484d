"""Which maps are written for which rasters, refused before anything is loaded if they cannot be."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clusternet.errors import RunError
from clusternet.files.locks import claimed
from clusternet.files.outputs import check_apart, check_open_folder
from clusternet.prediction.map_states import SIDES, made_from, why_not_done
from clusternet.processes.interrupts import interrupts
from clusternet.raster import check_new_map, find_scenes
from clusternet.training.run import read_codebook
from clusternet.training.run_files import CODEBOOK

logger = logging.getLogger(__name__)

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
    """Continue an interrupted folder: skip rasters whose maps were made by the same call. Our maps
    that were made from anything else are replaced."""


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
    asked = ("clusters", *(side for side in SIDES if getattr(options, side)))
    return [(output.with_name(f"{name}_{tag}.tif"), tag) for tag in asked]


def _not_done(jobs: Jobs, run: Path, assign: str, options: MapOptions) -> Jobs:
    """Return the jobs whose maps are not there yet, or were made from something else."""
    identity = read_codebook(run / CODEBOOK)[0].identity
    wanted = []
    for source, output in jobs:
        interrupts.check()
        tags = made_from(source, identity, assign)
        if why := why_not_done(map_files(output, options), tags, options.cog):
            wanted.append((source, output))
            if output.exists():
                logger.info("%s: is made again, since %s.", output, why)
    return wanted


@dataclass(frozen=True)
class WantedMaps:
    """What is to be written."""

    jobs: Jobs
    num_kept: int
    """Maps that exist and are left alone."""


@contextmanager
def claim_maps(
    run: Path,
    rasters: Sequence[Path],
    output_folder: Path,
    options: MapOptions,
    assign: str = "codebook",
) -> Iterator[WantedMaps]:
    """Find out which maps are wanted, and keep their folder for this process until they are there.

    Raises:
        ClusterNetError: naming the raster, or a map that exists, is an input, or cannot be written.
    """
    jobs = map_paths(rasters, output_folder)
    read = [*rasters, *(source for source, _ in jobs)]
    check_apart((output for _, output in jobs), (run, *read))
    with claimed(output_folder):
        wanted = _not_done(jobs, run, assign, options) if options.skip_existing else jobs
        for _, output in wanted:
            for path, tag in map_files(output, options):
                replaces = options.overwrite or options.skip_existing
                check_new_map(path, tag, overwrite=replaces, hint=_HINT)
        if wanted:
            check_open_folder(output_folder)
        yield WantedMaps(wanted, len(jobs) - len(wanted))
