"""From cluster maps and a few labels to a legend and class maps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clusternet.classes.class_maps import ClassOutputs, keep_in_run
from clusternet.classes.naming import Naming, NamingOptions, name_clusters, read_centroids
from clusternet.classes.polygons import PolygonOptions
from clusternet.classes.voting import Votes, count_votes, draw_labels
from clusternet.errors import LabelError, SettingsError
from clusternet.files.locks import claimed
from clusternet.labels.files import classes_in, settle_labels
from clusternet.labels.pairing import find_maps, pair_files
from clusternet.labels.rules import LabelOptions
from clusternet.legend.legend import Legend, read_legend
from clusternet.prediction.cluster_maps import (
    ClusterMap,
    common_run,
    count_clusters,
    read_cluster_map,
)
from clusternet.processes.interrupts import interrupts
from clusternet.types import NO_CLASS
from clusternet.value_types import check_types

logger = logging.getLogger(__name__)

_MASK_ADVICE = "--ignore_label 255 if 255 means no label"


@dataclass(frozen=True)
class ClassOptions(LabelOptions, NamingOptions, PolygonOptions):
    """How labels are read, how they name clusters, and how polygons of classes look."""

    gt_fraction: float = 1.0
    """Share of the label files that are used."""
    seed: int = 1
    """Fixes which these are."""

    def __post_init__(self) -> None:
        """Refuse values that cannot be used."""
        NamingOptions.__post_init__(self)
        PolygonOptions.__post_init__(self)


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

    @classmethod
    def of(cls, outputs: ClassOutputs, naming: Naming, votes: Votes | None) -> ClassReport:
        """Put together what was written and why."""
        return cls(
            class_maps=outputs.targets,
            legend_path=outputs.legend,
            legend=naming.legend,
            votes=votes,
            num_untouched=naming.num_untouched,
            untouched_became=naming.untouched_became,
            polygons=outputs.polygons,
        )

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
    options: ClassOptions | None = None,
    *,
    legend: Path | None = None,
    run: Path | None = None,
    polygons: Path | None = None,
    overwrite: bool = False,
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
        polygons: also write polygons of all class maps to this GeoPackage, a layer for each.
        overwrite: replace existing outputs.
        changes: single options by their name, as in ``class_field="use", background=0``.

    Raises:
        LabelError: if maps, labels or legend do not fit each other.
        GridMismatchError: if labels cannot be laid over their maps.
        RunError: if the run folder is not that of the maps.
        OutputError: if an output exists or cannot be written.
        SettingsError: if an option cannot be used.
    """
    options = _changed(options or ClassOptions(), changes)
    _check_sources(labels, legend, options)
    cluster_maps = [read_cluster_map(path) for path in find_maps(maps)]
    outputs = ClassOutputs.of(
        cluster_maps, maps, output_folder, polygons, given=legend, overwrite=overwrite
    )
    # the legend goes into the run, too: it is the run's own
    read = (maps, labels, legend, run, options.classes.source)
    outputs.check_apart((*read, *(cluster_map.path for cluster_map in cluster_maps)))
    with claimed(output_folder, polygons):
        outputs.check_new()
        votes = None if labels is None else _votes(cluster_maps, maps, labels, options)
        if votes is not None:
            naming = _named(votes, options, run, common_run(cluster_maps))
        elif legend is not None:
            naming = Naming(_fitting_legend(legend, cluster_maps), 0, "")
        outputs.write(cluster_maps, naming.legend, options)
        if run is not None and votes is not None:
            keep_in_run(run, naming.legend, overwrite=overwrite)
    return ClassReport.of(outputs, naming, votes)


def _check_sources(labels: Path | None, legend: Path | None, options: ClassOptions) -> None:
    if (legend is None) == (labels is None):
        raise SettingsError(
            "Expected either labels or a legend (--legend), received both or neither."
        )
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


def _votes(
    cluster_maps: Sequence[ClusterMap],
    maps: Path,
    labels: Path,
    options: ClassOptions,
) -> Votes:
    """Count the labelled pixels of the label files that are drawn."""
    common_run(cluster_maps)
    by_path = {cluster_map.path: cluster_map for cluster_map in cluster_maps}
    pairs = [(by_path[path], label) for path, label in pair_files(maps, labels)]
    files = {label for _, label in pairs}
    rules = settle_labels(files, options, advice=_MASK_ADVICE)
    drawn = draw_labels(pairs, options.gt_fraction, options.seed)
    undrawn = files - {label for _, label in drawn}
    for path in undrawn:
        rules.inventory.known.update(classes_in(path, rules))
    left_out = f"{len(undrawn)} label file(s) are left out by --gt_fraction" if undrawn else ""
    return count_votes(drawn, count_clusters(cluster_maps), rules, left_out=left_out)


def _named(votes: Votes, options: ClassOptions, run: Path | None, identity: str | None) -> Naming:
    centroids = None if run is None else read_centroids(run, identity, votes.num_clusters)
    return name_clusters(votes, options, classes=options.classes, centroids=centroids, run=identity)
