"""The maps to write for each raster; checked before the network is loaded."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clusternet.errors import OutputError, RunError
from clusternet.files.locks import claimed
from clusternet.files.outputs import check_apart, check_open_folder, check_writable
from clusternet.prediction.assigning import Assign, chosen_assign, identity_of, kind_of
from clusternet.prediction.map_states import SIDES, made_from, why_not_done
from clusternet.processes.interrupts import interrupts
from clusternet.raster import check_new_map, find_scenes, inner_paths, open_raster
from clusternet.raster.finding import is_one_raster
from clusternet.raster.mosaic_vrt import check_mosaic
from clusternet.raster.screens import inside_area
from clusternet.scene_rule import EACH_FILE, SceneRule
from clusternet.training.run import Run, scene_rule_of

logger = logging.getLogger(__name__)

Jobs = list[tuple[Path, Path]]
"""(raster, its cluster or class map), for each raster."""
_HINT = "--overwrite replaces it, --skip_existing keeps it"


@dataclass(frozen=True)
class MapOptions:
    """Which maps are written, and how."""

    confidence: bool = False
    """Write ``<name>_confidence.tif``: 0 (two clusters as near) to 254 (certain)."""
    features: bool = False
    """Write ``<name>_features.tif``: leading components and bands as bytes,
    with names and scales recorded."""
    cog: bool = False
    """Write cloud-optimised GeoTIFFs with overviews."""
    overwrite: bool = False
    """Replace existing maps."""
    aoi: Path | None = None
    """File of polygons; pixels outside are nodata, and rasters outside get no map."""
    mosaic: Path | None = None
    """Virtual raster (``.vrt``) to write that shows all cluster maps as one."""
    skip_existing: bool = False
    """Continue an interrupted prediction: keep maps that an earlier call made from the same raster,
    run and options. Other maps of ClusterNet are replaced."""

    def __post_init__(self) -> None:
        """Refuse a mosaic of another name."""
        if self.mosaic is not None and self.mosaic.suffix.lower() != ".vrt":
            raise OutputError(f"{self.mosaic}: a mosaic is a virtual raster; name it *.vrt.")


def map_paths(
    rasters: Sequence[Path],
    output_folder: Path,
    rule: SceneRule = EACH_FILE,
    kind: str = "clusters",
) -> Jobs:
    """Return (raster, map of a kind) for each raster and for all rasters of folders.

    Args:
        rasters: what the user gave.
        output_folder: the folder of the maps.
        rule: how scenes are put together; a raster that is given by itself is one.
        kind: ``clusters`` or ``classes``.

    Raises:
        RunError: if two rasters would write the same map.
    """
    outputs: dict[Path, Path] = {}
    for given in rasters:
        sources = find_scenes(given, None if is_one_raster(given) else rule)
        for source, inner in zip(sources, inner_paths(given, sources), strict=True):
            outputs[source] = output_folder / inner
    stems = Counter(path.with_suffix("") for path in outputs.values())
    jobs = []
    for source, path in outputs.items():
        # scene.tif and scene.png in one folder: then the suffix becomes part of the map's name
        stem = path.stem if stems[path.with_suffix("")] == 1 else path.name
        jobs.append((source, path.with_name(f"{stem}_{kind}.tif")))
    names = Counter(output for _, output in jobs)
    for source, output in jobs:
        if names[output] > 1:
            raise RunError(
                f"{source}: another raster given would write {output} too; predict them into "
                "different output folders."
            )
    return jobs


def _placed(jobs: Jobs, options: MapOptions) -> Jobs:
    """Return the jobs whose raster lies in the area of interest.

    Raises:
        GridMismatchError: if there is none, or the maps of these cannot be one mosaic.
    """
    if options.aoi is None and options.mosaic is None:
        return jobs
    profiles = []
    for source, _ in jobs:
        interrupts.check()
        with open_raster(source) as raster:
            profiles.append(raster.profile)
    inside = inside_area(profiles, options.aoi)
    if options.mosaic is not None:
        check_mosaic([p for p, is_inside in zip(profiles, inside, strict=True) if is_inside])
    return [job for job, is_inside in zip(jobs, inside, strict=True) if is_inside]


def _check_mosaic(path: Path | None, kind: str, *, overwrite: bool) -> None:
    """Refuse a mosaic that cannot be written, before any work is done."""
    if path is None:
        return
    check_new_map(path, kind, overwrite=overwrite, hint=_HINT)
    check_writable(path)


def map_files(output: Path, options: MapOptions) -> list[tuple[Path, str]]:
    """Return (path, kind) of a map and of the maps written with it, in this order."""
    name, _, kind = output.stem.rpartition("_")
    asked = (kind, *(side for side in SIDES if getattr(options, side)))
    return [(output.with_name(f"{name}_{tag}.tif"), tag) for tag in asked]


def _not_done(jobs: Jobs, run: Path, assign: Assign, options: MapOptions) -> Jobs:
    """Return the jobs whose maps are missing, or were made from another raster, run or option."""
    identity = identity_of(run, assign)
    wanted = []
    for source, output in jobs:
        interrupts.check()
        tags = made_from(source, identity, assign, options.aoi)
        if why := why_not_done(map_files(output, options), tags, options.cog):
            wanted.append((source, output))
            if output.exists():
                logger.info("%s: is made again, since %s.", output, why)
    return wanted


@dataclass(frozen=True)
class WantedMaps:
    """The maps to write."""

    jobs: Jobs
    num_kept: int
    """Number of maps that exist and are kept."""
    every: tuple[Path, ...] = ()
    """All maps, also those that are kept."""


def check_first_raster(wanted: WantedMaps, run: Run) -> None:
    """Refuse the raster that is predicted first if it cannot be, before the network is loaded.

    Raises:
        RasterError: if its header is damaged.
        RunError: if its bands or pixel type differ from the run's.
    """
    for source, _ in wanted.jobs[:1]:
        with open_raster(source, run.bands.nodata_choice) as raster:
            run.check_fits(raster.profile)


@contextmanager
def claim_maps(
    run: Path,
    rasters: Sequence[Path],
    output_folder: Path,
    options: MapOptions,
    assign: Assign | None = None,
) -> Iterator[WantedMaps]:
    """Find out which maps to write, and lock their folder until the block ends.

    Raises:
        ClusterNetError: naming the raster, or a map that exists, is an input, or cannot be written.
    """
    assign = chosen_assign(run, assign)
    kind = kind_of(assign)
    jobs = _placed(map_paths(rasters, output_folder, scene_rule_of(run), kind), options)
    read = [*rasters, *(source for source, _ in jobs)]
    outputs = [output for _, output in jobs]
    check_apart((*outputs, options.mosaic), (run, options.aoi, *read))
    # Everything is checked for all rasters first, because predicting the first may take hours.
    with claimed(output_folder, options.mosaic):
        replaces = options.overwrite or options.skip_existing
        _check_mosaic(options.mosaic, kind, overwrite=replaces)
        wanted = _not_done(jobs, run, assign, options) if options.skip_existing else jobs
        for _, output in wanted:
            for path, tag in map_files(output, options):
                replaces = options.overwrite or options.skip_existing
                check_new_map(path, tag, overwrite=replaces, hint=_HINT)
        if wanted:
            check_open_folder(output_folder)
        yield WantedMaps(wanted, len(jobs) - len(wanted), tuple(outputs))
