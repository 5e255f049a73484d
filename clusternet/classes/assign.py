"""From cluster maps and a few labels to a legend and class maps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clusternet.classes.class_maps import ClassOutputs, keep_in_run, labels_beside, write_named
from clusternet.classes.class_report import ClassReport
from clusternet.classes.learned import learn
from clusternet.classes.naming import (
    Naming,
    NamingOptions,
    name_clusters,
    read_centroids,
    warn_of_lost_classes,
)
from clusternet.classes.polygons import PolygonOptions
from clusternet.classes.sources import LEARNING_RULES, find_sources
from clusternet.classes.voting import Pair, Votes, check_fraction, count_votes, draw_labels
from clusternet.errors import LabelError, RunError, SettingsError
from clusternet.files.locks import claimed
from clusternet.labels.files import classes_in, settle_labels
from clusternet.labels.pairing import find_maps, pair_files
from clusternet.labels.rules import LabelOptions, LabelRules
from clusternet.learning.aims import Preference
from clusternet.legend.land_classes import make_classes
from clusternet.legend.legend import Legend, read_legend
from clusternet.prediction.cluster_maps import (
    ClusterMap,
    common_run,
    count_clusters,
    read_cluster_map,
)
from clusternet.processes.executors import Executor
from clusternet.processes.interrupts import interrupts
from clusternet.raster.screens import inside_area
from clusternet.types import NO_CLASS
from clusternet.value_types import check_seed, check_types

logger = logging.getLogger(__name__)

_MASK_ADVICE = "--ignore_label 255 if 255 means no label"


@dataclass(frozen=True)
class ClassOptions(LabelOptions, NamingOptions, PolygonOptions):
    """How labels are read, how they name clusters, and how polygons of classes look."""

    gt_fraction: float = 1.0
    """Share of the label files that are used."""
    seed: int = 1
    """Seed of the draw of label files, and of the draws that compare methods."""
    prefer: str | None = None
    """What matters: ``recall``, ``precision`` or ``iou``, of all classes or of one, as in
    ``recall:roof``."""

    def __post_init__(self) -> None:
        """Refuse values that cannot be used."""
        NamingOptions.__post_init__(self)
        PolygonOptions.__post_init__(self)
        if self.prefer is None:
            return
        Preference.parse(self.prefer)
        if self.rule not in (None, *LEARNING_RULES):
            raise SettingsError(
                f"--prefer: weighs what methods on features say, which --rule {self.rule} does not "
                "use; take --rule auto."
            )


@interrupts.listening()
def assign_classes(
    maps: Path,
    labels: Path | None,
    output_folder: Path,
    options: ClassOptions | None = None,
    *,
    legend: Path | None = None,
    run: Path | None = None,
    rasters: Path | None = None,
    aoi: Path | None = None,
    polygons: Path | None = None,
    overwrite: bool = False,
    executor: Executor | None = None,
    **changes: Any,
) -> ClassReport:
    """Turn cluster maps into class maps, by labels or by a legend that exists already.

    All maps share one legend: the votes of all labelled pixels are pooled.

    Args:
        maps: a cluster map, or a folder of them.
        labels: labels, raster or vector, on any grid and in any CRS: one file for all maps, or
            a folder with files named like the maps. None if ``legend`` is given.
        output_folder: gets ``<map>_classes.tif`` for each map, and ``legend.csv``.
        options: how labels become classes; None takes the defaults.
        legend: a legend to apply instead of labels.
        run: run folder that the maps come from; its centroids say which labelled cluster is
            nearest to one without labels, and it gets a copy of the legend.
        rasters: the raster that the maps come from, or a folder of them named like the maps;
            None looks where the maps say that they came from. With ``run``, methods that look at
            features can be compared, see the option ``rule``.
        aoi: file of polygons: labels outside do not count, class maps are nodata outside.
        polygons: also write polygons of all class maps to this GeoPackage, a layer for each.
        overwrite: replace existing outputs.
        executor: where labelled pixels are counted; None counts them in this process.
        changes: single options by their name, as in ``class_field="use", background=0``.

    Raises:
        LabelError: if maps, labels or legend do not fit each other.
        GridMismatchError: if labels cannot be laid over their maps.
        RunError: if the run folder is not that of the maps.
        OutputError: if an output exists or cannot be written.
        SettingsError: if an option cannot be used.
    """
    options = _changed(options or ClassOptions(), changes)
    _check_given(labels, legend, run, options)
    cluster_maps = _maps_inside([read_cluster_map(path) for path in find_maps(maps)], aoi)
    outputs = ClassOutputs.of(
        cluster_maps, maps, output_folder, polygons, given=legend, overwrite=overwrite
    )
    # The copy of the legend in the run is not among the outputs; `keep_in_run` writes it.
    read = (maps, labels, legend, run, rasters, aoi, options.classes.source)
    known = (path for each in cluster_maps for path in (each.path, each.raster))
    outputs.check_apart((*read, *known))
    with claimed(output_folder, polygons):
        outputs.check_new()
        if labels is not None:
            work = _Work(cluster_maps, maps, outputs, options, run, executor)
            return work.by_labels(labels, rasters)
        return _apply(legend or Path(), cluster_maps, outputs, options)


def _maps_inside(cluster_maps: Sequence[ClusterMap], aoi: Path | None) -> list[ClusterMap]:
    inside = inside_area([each.profile for each in cluster_maps], aoi)
    kept = zip(cluster_maps, inside, strict=True)
    return [replace(each, aoi=aoi) for each, is_inside in kept if is_inside]


def _check_given(
    labels: Path | None, legend: Path | None, run: Path | None, options: ClassOptions
) -> None:
    if run is not None and not run.is_dir():
        raise RunError(f"{run}: expected a run folder as main.py writes it, found none.")
    if (legend is None) == (labels is None):
        raise SettingsError(
            "Expected either labels or a legend (--legend), received both or neither."
        )
    if legend is not None and options.prefer is not None:
        raise SettingsError("--prefer: needs labels; a legend (--legend) says what clusters are.")
    check_fraction(options.gt_fraction)
    check_seed(options.seed)
    if legend is not None and options.classes:
        logger.warning("--classes is left aside: with --legend the legend names the classes.")


def _changed(options: ClassOptions, changes: dict[str, Any]) -> ClassOptions:
    """Return options with single ones changed; no list of classes is an empty one."""
    if changes.get("classes") is None:
        changes = {name: value for name, value in changes.items() if name != "classes"}
    options = replace(options, **changes)
    check_types(options, SettingsError, "--")
    return options


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


def _apply(
    path: Path, cluster_maps: Sequence[ClusterMap], outputs: ClassOutputs, options: ClassOptions
) -> ClassReport:
    """Write class maps by a legend that exists already; no labels are read."""
    legend = _fitting_legend(path, cluster_maps)
    labels = labels_beside(path, legend.run)  # before the maps that state them are replaced
    write_named(cluster_maps, outputs.targets, legend, labels=labels, overwrite=outputs.overwrite)
    outputs.write_sides(cluster_maps, legend, legend.classes, options)
    return ClassReport(
        outputs.targets, outputs.legend, legend, None, 0, "", outputs.polygons, legend.classes
    )


@dataclass(frozen=True)
class _Work:
    """The inputs and outputs of class maps that are made from labels."""

    cluster_maps: Sequence[ClusterMap]
    maps: Path
    """The map, or the folder of maps, that the user gave."""
    outputs: ClassOutputs
    options: ClassOptions
    run: Path | None
    executor: Executor | None = None

    def by_labels(self, labels: Path, rasters: Path | None) -> ClassReport:
        """Name clusters or fit a classifier to features, then write maps, legend and polygons."""
        outputs, options, identity = self.outputs, self.options, common_run(self.cluster_maps)
        rule = options.rule if options.prefer is None else options.rule or "auto"
        sources, note = find_sources(rule, self.run, rasters, self.cluster_maps, self.maps)
        pairs, rules, votes = self._read_labels(labels)
        naming = _named(votes, options, self.run, identity)
        classes, choice = naming.legend.classes, None
        if sources is None or self.run is None:
            warn_of_lost_classes(votes, naming.legend)
            write_named(
                self.cluster_maps, outputs.targets, naming.legend,
                labels=[path for _, path in pairs], overwrite=outputs.overwrite,
            )  # fmt: skip
        else:
            names = {*votes.numbers, *options.classes.names}
            classes = make_classes(names, votes.names, votes.colours)
            of_map = {cluster_map.path: path for cluster_map, path in pairs}
            label_files = [of_map.get(each.path) for each in self.cluster_maps]
            numbers = {classes[number].name: number for number in votes.numbers}
            learned = learn(self.run, sources, label_files, rules, options, numbers,
                            self.cluster_maps[0].aoi)  # fmt: skip
            choice = learned.choice
            legend = learned.write_maps(
                self.cluster_maps, outputs.targets, classes, naming.legend,
                overwrite=outputs.overwrite,
            )  # fmt: skip
            naming = Naming(legend, 0, "")
        outputs.write_sides(self.cluster_maps, naming.legend, classes, options)
        if self.run is not None:
            keep_in_run(self.run, naming.legend, overwrite=outputs.overwrite)
        return ClassReport(
            outputs.targets, outputs.legend, naming.legend, votes, naming.num_untouched,
            naming.untouched_became, outputs.polygons, classes, choice, note,
        )  # fmt: skip

    def _read_labels(self, labels: Path) -> tuple[list[Pair], LabelRules, Votes]:
        """Draw label files, and count their labelled pixels by cluster and class."""
        options = self.options
        by_path = {cluster_map.path: cluster_map for cluster_map in self.cluster_maps}
        paired = pair_files(self.maps, labels)
        pairs = [(by_path[path], label) for path, label in paired if path in by_path]
        files = {label for _, label in pairs}
        rules = settle_labels(files, options, advice=_MASK_ADVICE)
        drawn = draw_labels(pairs, options.gt_fraction, options.seed)
        undrawn = files - {label for _, label in drawn}
        for path in undrawn:
            rules.inventory.known.update(classes_in(path, rules))
        left_out = f"{len(undrawn)} label file(s) are left out by --gt_fraction" if undrawn else ""
        votes = count_votes(
            drawn, count_clusters(self.cluster_maps), rules, left_out=left_out,
            executor=self.executor,
        )  # fmt: skip
        return drawn, rules, votes


def _named(votes: Votes, options: ClassOptions, run: Path | None, identity: str | None) -> Naming:
    centroids = None if run is None else read_centroids(run, identity, votes.num_clusters)
    return name_clusters(votes, options, classes=options.classes, centroids=centroids, run=identity)
