"""From cluster maps and a few labels to a legend and class maps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clusternet.classes.naming import (
    Naming,
    NamingOptions,
    Rule,
    Unlabelled,
    name_clusters,
    read_centroids,
)
from clusternet.classes.polygons import PolygonOptions, check_new_polygons, write_class_polygons
from clusternet.classes.voting import Votes, count_votes, draw_labels
from clusternet.errors import LabelError, OutputError, SettingsError
from clusternet.files.locks import claimed
from clusternet.files.outputs import (
    KIND_TAG,
    check_apart,
    check_distinct,
    check_new,
    check_open_folder,
    check_writable,
)
from clusternet.labels.files import classes_in, settle_labels
from clusternet.labels.pairing import find_maps, pair_files
from clusternet.labels.rasterization import map_type
from clusternet.labels.rules import LabelOptions
from clusternet.legend.class_list import ClassList
from clusternet.legend.legend import LEGEND_FILE, Legend, read_legend, write_legend
from clusternet.prediction.cluster_maps import (
    ClusterMap,
    common_run,
    count_clusters,
    read_cluster_map,
    read_clusters,
)
from clusternet.prediction.map_states import RUN_TAG
from clusternet.processes.interrupts import interrupts
from clusternet.processes.progress import Progress
from clusternet.raster import MapForm, check_new_map, create_map, open_raster
from clusternet.training.run_files import LEGEND
from clusternet.types import NO_CLASS

logger = logging.getLogger(__name__)

_MASK_ADVICE = "--ignore_label 255 if 255 means no label"


@dataclass(frozen=True)
class ClassReport:
    """What `assign_classes` did."""

    class_maps: tuple[Path, ...]
    """The class maps, in the order of the cluster maps."""
    legend_path: Path
    """The legend beside them."""
    legend: Legend
    """Its content."""
    votes: Votes | None
    """The labelled pixels by cluster and class; None if a legend was given."""
    num_untouched: int
    """Clusters that no label touches."""
    untouched_became: str
    """What became of them: ``nearest``, ``unknown`` or ``class 0``."""
    polygons: Path | None
    """The GeoPackage, if one was asked for."""

    def summary(self) -> str:
        """Return one line about the result."""
        names = ", ".join(land_class.name for land_class in self.legend.classes.values())
        text = f"{len(self.class_maps)} class map(s) in {self.legend_path.parent}: {names}"
        if self.votes is not None:
            text += f"; {self.votes.total:,} labelled pixels named {len(self.legend.rows)} clusters"
            if self.num_untouched:
                text += f", of which {self.num_untouched} without labels ({self.untouched_became})"
            text += f"; {self.votes.basis}" if self.votes.basis else ""
        return text + (f"; polygons in {self.polygons}" if self.polygons else "")


@interrupts.listening()
def assign_classes(
    maps: Path,
    labels: Path | None,
    output_folder: Path,
    *,
    legend: Path | None = None,
    run: Path | None = None,
    classes: ClassList | None = None,
    class_field: str | None = None,
    layer: str | None = None,
    background: int | None = None,
    ignore_label: int | None = None,
    unlabelled: Unlabelled = "nearest",
    rule: Rule = "majority",
    keep_clust_threshold: float = 0.5,
    gt_fraction: float = 1.0,
    seed: int = 1,
    polygons: Path | None = None,
    sieve: int = 0,
    min_area: int = 0,
    simplify: float = 0.0,
    overwrite: bool = False,
) -> ClassReport:
    """Turn cluster maps into class maps, by labels or by a legend that exists already.

    All maps share one legend: the votes of all labelled pixels are pooled.

    Args:
        maps: a cluster map, or a folder of them.
        labels: labels, raster or vector, on any grid and in any CRS: one file for all maps, or
            a folder with files named like the maps. None if ``legend`` is given.
        output_folder: gets ``<map>_classes.tif`` for each map, and ``legend.csv``.
        legend: a legend to apply instead of labels.
        run: run folder that the maps come from; its centroids say which labelled cluster is
            nearest to one without labels, and it gets a copy of the legend.
        classes: the classes that labels may hold, their names and colours; None takes what the
            labels state.
        class_field: of vector labels, the field that holds the class.
        layer: of vector labels.
        background: of vector labels, class of pixels under no shape; None means unlabelled.
        ignore_label: label value that means no label; None means 255 in 8-bit rasters.
        unlabelled: what clusters become that no label touches: the class of the ``nearest``
            labelled centroid, or ``unknown``.
        rule: ``majority`` of the labelled pixels, or the published code's ``binary`` rule.
        keep_clust_threshold: of the binary rule, share of labelled pixels that must be 1.
        gt_fraction: share of the label files that are used, drawn with ``seed``.
        seed: fixes the draw.
        polygons: also write polygons of all class maps to this GeoPackage, a layer for each.
        sieve: of polygons, patches of fewer pixels take the class of their largest neighbour.
        min_area: of polygons, smaller ones (in pixels) are left out.
        simplify: of polygons, tolerance in pixels.
        overwrite: replace existing outputs.

    Raises:
        LabelError: if maps, labels or legend do not fit each other.
        GridMismatchError: if labels cannot be laid over their maps.
        RunError: if the run folder is not that of the maps.
        OutputError: if an output exists or cannot be written.
    """
    naming_options = NamingOptions(rule, keep_clust_threshold, unlabelled)
    outline_options = PolygonOptions(sieve, min_area, simplify)
    options = LabelOptions(classes or ClassList(), class_field, layer, background, ignore_label)
    if (legend is None) == (labels is None):
        raise SettingsError(
            "Expected either labels or a legend (--legend), received both or neither."
        )
    if legend is not None and options.classes:
        logger.warning("--classes is left aside: with --legend the legend names the classes.")
    cluster_maps = [read_cluster_map(path) for path in find_maps(maps)]
    targets = _targets(cluster_maps, maps, output_folder)
    legend_path = output_folder / LEGEND
    edited = legend is not None and legend.exists() and legend.resolve() == legend_path.resolve()
    legends = [] if edited else [legend_path]
    # the legend goes into the run, too: it is the run's own
    read = (maps, labels, legend, run, options.classes.source)
    check_apart((*targets, *legends, polygons), (*read, *(found.path for found in cluster_maps)))
    check_distinct((polygons, legend_path), (*targets, output_folder))
    with claimed(output_folder, polygons):
        for path in legends:
            check_new(path, kind=LEGEND_FILE, overwrite=overwrite)
        _check_outputs(targets, polygons, overwrite)
        votes = None
        if legend is not None:
            naming = Naming(_fitting_legend(legend, cluster_maps), 0, "")
        elif labels is not None:
            votes = _votes(cluster_maps, maps, labels, gt_fraction, seed, options)
            naming = _named(votes, naming_options, options.classes, run, common_run(cluster_maps))
        _write_class_maps(cluster_maps, targets, naming.legend, overwrite)
        if not edited:
            write_legend(legend_path, naming.legend, overwrite=overwrite)
        if polygons is not None:
            write_class_polygons(
                polygons, targets, naming.legend.classes, outline_options, overwrite=overwrite
            )
        if run is not None and votes is not None:
            _keep_in_run(run, naming.legend, overwrite)
    return ClassReport(
        class_maps=tuple(targets),
        legend_path=legend_path,
        legend=naming.legend,
        votes=votes,
        num_untouched=naming.num_untouched,
        untouched_became=naming.untouched_became,
        polygons=polygons,
    )


def _targets(maps: Sequence[ClusterMap], source: Path, output_folder: Path) -> list[Path]:
    """Return the path of each class map; folders below a folder of maps are kept."""
    root = source if source.is_dir() else source.parent
    targets: dict[Path, Path] = {}
    for cluster_map in maps:
        relative = cluster_map.path.relative_to(root)
        name = f"{relative.stem.removesuffix('_clusters')}_classes.tif"
        target = output_folder / relative.with_name(name)
        if target in targets:
            raise LabelError(
                f"{cluster_map.path} and {targets[target]} would both become {target}; rename one."
            )
        targets[target] = cluster_map.path
    return list(targets)


def _check_outputs(maps: Sequence[Path], polygons: Path | None, overwrite: bool) -> None:
    """Refuse existing outputs before any work is done."""
    for path in maps:
        check_new_map(path, "classes", overwrite=overwrite)
    for folder in {path.parent for path in maps}:
        check_open_folder(folder)
    if polygons is None:
        return
    check_new_polygons(polygons, overwrite=overwrite)
    check_writable(polygons)
    if polygons.suffix.lower() != ".gpkg":
        raise OutputError(f"{polygons}: polygons are written as GeoPackage; name it *.gpkg.")


def _fitting_legend(path: Path, maps: Sequence[ClusterMap]) -> Legend:
    """Read a legend and check that it knows the clusters of all maps."""
    legend = read_legend(path)
    identity = common_run(maps)
    if None not in (legend.run, identity) and legend.run != identity:
        raise LabelError(
            f"{maps[0].path}: comes from another run than the legend {path} ({identity}, not "
            f"{legend.run}); a cluster number means nothing in another run."
        )
    lookup = legend.lookup()
    for cluster in range(count_clusters(maps)):
        if cluster >= len(lookup) or lookup[cluster] == NO_CLASS:
            raise LabelError(
                f"{path}: has no line for cluster {cluster} of {maps[0].path}; add one."
            )
    return replace(legend, run=legend.run or identity)


def _votes(
    cluster_maps: Sequence[ClusterMap],
    maps: Path,
    labels: Path,
    gt_fraction: float,
    seed: int,
    options: LabelOptions,
) -> Votes:
    common_run(cluster_maps)
    by_path = {cluster_map.path: cluster_map for cluster_map in cluster_maps}
    pairs = [(by_path[path], label) for path, label in pair_files(maps, labels)]
    files = {label for _, label in pairs}
    rules = settle_labels(files, options, advice=_MASK_ADVICE)
    drawn = draw_labels(pairs, gt_fraction, seed)
    undrawn = files - {label for _, label in drawn}
    for path in undrawn:
        rules.inventory.known.update(classes_in(path, rules))
    left_out = f"{len(undrawn)} label file(s) are left out by --gt_fraction" if undrawn else ""
    return count_votes(drawn, count_clusters(cluster_maps), rules, left_out=left_out)


def _named(
    votes: Votes,
    options: NamingOptions,
    classes: ClassList,
    run: Path | None,
    identity: str | None,
) -> Naming:
    centroids = None if run is None else read_centroids(run, identity, votes.num_clusters)
    return name_clusters(votes, options, classes=classes, centroids=centroids, run=identity)


def _write_class_maps(
    maps: Sequence[ClusterMap], targets: Sequence[Path], legend: Legend, overwrite: bool
) -> None:
    dtype, nodata = map_type(legend.highest_class)
    tags = {KIND_TAG: "classes"} | ({RUN_TAG: legend.run} if legend.run else {})
    form = MapForm(dtype, nodata=nodata, colours=legend.colours(), names=legend.names(), tags=tags)
    lookup = legend.lookup()
    total = sum(cluster_map.num_pixels for cluster_map in maps)
    with Progress(total=total, desc="class maps", unit="px") as bar:
        for cluster_map, target in zip(maps, targets, strict=True):
            with (
                open_raster(cluster_map.path, codes=True) as raster,
                create_map(target, cluster_map.profile, form, overwrite=overwrite) as writer,
            ):
                for window in cluster_map.windows():
                    clusters, valid = read_clusters(raster, window)
                    values = np.where(valid, lookup[clusters], nodata)
                    writer.write(window, values.astype(dtype))
                    bar.update(values.size)


def _keep_in_run(run: Path, legend: Legend, overwrite: bool) -> None:
    path = run / LEGEND
    if path.exists() and not LEGEND_FILE.owns(path):
        logger.warning("%s: kept, since ClusterNet did not write it as it is.", path)
        return
    if path.exists() and not overwrite:
        logger.warning("%s: kept; --overwrite replaces it by the new legend.", path)
        return
    try:
        write_legend(path, legend, overwrite=True)
    except OutputError as error:  # all that was asked for is there
        logger.warning("%s The run keeps no copy of the legend.", error)
