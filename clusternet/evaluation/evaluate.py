"""Score maps against labels, window by window, over any number of files.

Each window is counted at once into a contingency table (map values, classes). So memory depends on
the number of clusters and classes, not on the size of the rasters.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from clusternet.errors import LabelError
from clusternet.evaluation.classes import (
    class_colours,
    class_names,
    identity,
    warn_of_unshared_classes,
)
from clusternet.evaluation.contingency import (
    FileContingency,
    MapHeader,
    Picture,
    added,
    read_header,
)
from clusternet.evaluation.draws import check_draw_settings, draw_blocks, score_draws
from clusternet.evaluation.results import (
    Agreement,
    EvaluationReport,
    FileAgreement,
    Kind,
)
from clusternet.evaluation.tallies import TallyTask, tally
from clusternet.labels.files import map_statements, mask_values, settle_labels
from clusternet.labels.origins import digest, read_origins
from clusternet.labels.pairing import Pair, pair_files
from clusternet.labels.rules import UNLABELLED, LabelOptions, LabelRules
from clusternet.legend.class_list import ClassList
from clusternet.legend.inventory import DRAW_LARGER
from clusternet.metrics import (
    Counts,
    Scores,
    ari,
    majority_mapping,
    mapped_confusion,
    nmi,
    one_to_one_mapping,
)
from clusternet.nodata import declaring_hint
from clusternet.processes.executors import Executor
from clusternet.processes.interrupts import interrupts
from clusternet.processes.progress import Progress
from clusternet.raster.opening import open_dataset
from clusternet.types import NO_CLASS, BoolArray, IntArray

logger = logging.getLogger(__name__)

_NUM_PICTURES = 6  # files whose thumbnails the report shows


@interrupts.listening()
def evaluate(
    maps: Path,
    labels: Path,
    *,
    clusters: bool | None = None,
    classes: ClassList | None = None,
    class_field: str | None = None,
    layer: str | None = None,
    ignore_label: int | None = None,
    labelled_fraction: float = 0.1,
    draws: int = 5,
    seed: int = 1,
    executor: Executor | None = None,
) -> EvaluationReport:
    """Score maps against labels.

    Args:
        maps: a map, or a folder of maps.
        labels: a label raster or vector file, on any grid, or a folder of them (matched by base
            name, see ``clusternet.labels.pairing.pair_files``).
        clusters: True for cluster maps, False for class maps. None reads the tag
            ``CLUSTERNET_KIND`` of the maps, and takes maps without it as class maps.
        classes: the classes that labels may hold; None takes any, with the names that the
            files state.
        class_field: field of vector labels that holds the class.
        layer: layer of vector files that hold several.
        ignore_label: label value of pixels without a label, beside the label file's own nodata;
            None means 255 in 8-bit label rasters.
        labelled_fraction: share of the blocks whose labels name the clusters (cluster maps only).
        draws: number of times that such blocks are drawn (cluster maps only).
        seed: fixes the draws.
        executor: where maps are counted; None counts them in this process.

    Raises:
        LabelError: if no map has labels, or labels hold unexpected values.
        GridMismatchError: if labels cannot be laid over their map.
        RasterError: if a raster cannot be read.
        SettingsError: if the labelled fraction or the number of draws cannot be used.
    """
    check_draw_settings(labelled_fraction, draws, seed)
    pairs = pair_files(maps, labels)
    headers = [read_header(path) for path, _ in pairs]
    kind = _resolve_kind(clusters, headers)
    if kind == "classes":
        _warn_of_own_labels(pairs)
        headers = settle_masks(headers)
    options = LabelOptions(classes or ClassList(), class_field, layer, ignore_label=ignore_label)
    rules = _settle(headers, pairs, options, kind)
    num_blocks = sum(header.num_blocks for header in headers)
    drawn = draw_blocks(num_blocks, labelled_fraction, draws if kind == "clusters" else 0, seed)
    file_tables, draw_tables = _tabulate_all(pairs, headers, drawn, rules, kind, executor)
    names = class_names(file_tables, kind, rules)
    table = _pooled(file_tables, len(names))
    if kind == "classes":
        warn_of_unshared_classes(table, [path for path, _ in pairs], rules)
        return _report(file_tables, names, table, rules, kind)
    scores = score_draws(draw_tables, table, labelled_fraction, seed)
    return replace(_report(file_tables, names, table, rules, kind), draws=scores)


def _warn_of_own_labels(pairs: Sequence[Pair]) -> None:
    """Warn of class maps that are scored by the labels that they were made from."""
    digests: dict[Path, str] = {}
    own = []
    for map_path, label_path in pairs:
        with open_dataset(map_path) as dataset:
            origins = read_origins(dataset.tags())
        if origins and label_path not in digests:
            digests[label_path] = digest(label_path)
        if any(origin.digest == digests[label_path] for origin in origins):
            own.append(label_path)
    if own:
        logger.warning(
            "%s%s: the map was made from these labels, so its scores are too good; score it by "
            "other labels, or by points of tools/sample.py.",
            own[0], f" (and {len(own) - 1} more)" if own[1:] else "",
        )  # fmt: skip


def _report(
    file_tables: Sequence[FileContingency],
    names: tuple[str, ...],
    table: Counts,
    rules: LabelRules,
    kind: Kind,
) -> EvaluationReport:
    """Score the pooled contingency table (map values, classes), and that of each file."""
    one_to_one = None
    pairs = [(each.map_path, each.label_path) for each in file_tables]
    if kind == "clusters":
        mapping = majority_mapping(table)
        one_to_one = Scores.from_confusion(mapped_confusion(table, one_to_one_mapping(table)))
    else:
        mapping = identity(table, rules)
    several = len(rules.common.statements) > 1
    return EvaluationReport(
        kind=kind,
        class_names=names,
        colours=class_colours(names, table, pairs, rules, kind),
        files=tuple(_file_agreement(each, mapping, len(names), kind) for each in file_tables),
        pooled=_agreement(file_tables, table, mapping, kind),
        one_to_one=one_to_one,
        draws=None,
        basis=rules.common.basis() if several else "",
    )


def _resolve_kind(clusters: bool | None, headers: Sequence[MapHeader]) -> Kind:
    if clusters is not None:
        return "clusters" if clusters else "classes"
    cluster_maps = [header.path for header in headers if header.kind == "clusters"]
    if cluster_maps and len(cluster_maps) < len(headers):
        raise LabelError(
            f"{cluster_maps[0]}: is a cluster map, but others beside it are not; "
            "evaluate them apart, or say what all are with --clusters or --no-clusters."
        )
    return "clusters" if cluster_maps else "classes"


def settle_masks(headers: Sequence[MapHeader]) -> list[MapHeader]:
    """Take the maps as masks of two classes if they hold only 0 and 255 and state no nodata.

    Otherwise 255 would be taken as nodata, and the class that it stands for would be missing.
    """
    undeclared = [header for header in headers if not header.declares_nodata]
    if len(undeclared) < len(headers):
        return list(headers)
    values_in_maps: set[int] = set()
    for header in undeclared:
        values = mask_values(header.path)
        if values is None:
            return list(headers)
        values_in_maps |= values
    if values_in_maps != {0, UNLABELLED}:
        return list(headers)
    first = headers[0].path
    logger.warning(
        "%s: the maps hold only 0 and 255, taken as the classes 0 and 1; if 255 means no data, %s.",
        first, declaring_hint(first, UNLABELLED, None),
    )  # fmt: skip
    return [replace(header, nodata=None, is_mask=True) for header in headers]


def _settle(
    headers: Sequence[MapHeader], pairs: Sequence[Pair], options: LabelOptions, kind: Kind
) -> LabelRules:
    """Settle which classes the labels share with each other and with class maps."""
    maps = []
    if kind == "classes":
        maps = map_statements((header.path, header.kind == "classes") for header in headers)
    return settle_labels((label for _, label in pairs), options, maps=maps,
                         advice="--ignore_label 255 if 255 means no label")  # fmt: skip


def _tabulate_all(
    pairs: Sequence[Pair],
    headers: Sequence[MapHeader],
    drawn: BoolArray,
    rules: LabelRules,
    kind: Kind,
    executor: Executor | None,
) -> tuple[list[FileContingency], Counts]:
    """Count all files.

    Returns:
        the tables of the files that have labels, and the tables (draws, map values, classes) of
        the labelled blocks of each draw, over all files.
    """
    # files for thumbnails, evenly spread over all of them
    pictured = set(np.linspace(0, len(pairs) - 1, _NUM_PICTURES).round().astype(int).tolist())
    # the blocks of all files are numbered one after the other, so a draw mixes files
    ends = np.cumsum([header.num_blocks for header in headers])
    file_tables, overlapping = [], False
    draw_tables = np.zeros((len(drawn), 1, 1), np.int64)
    total = sum(header.shape[0] * header.shape[1] for header in headers)
    tasks = [
        TallyTask(
            header, label_path, drawn[:, end - header.num_blocks : end], rules,
            rules.common.renumbering(header.path, is_map=True) if kind == "classes" else None,
            number in pictured,
        )
        for number, (header, (_, label_path), end)
        in enumerate(zip(headers, pairs, ends.tolist(), strict=True))
    ]  # fmt: skip
    with Progress(total=total, unit="px", unit_scale=True, desc="evaluating") as bar:
        for file_table, file_draw_tables in tally(tasks, rules.inventory, bar.update, executor):
            overlapping |= file_table.overlaps
            if file_table.table.any():
                file_tables.append(file_table)
                draw_tables = added(draw_tables, file_draw_tables)
    why = rules.inventory.why_none() or "it holds nothing but nodata and the ignored label"
    why += "."
    if not overlapping:
        why = "it does not overlap the map; check that both state the right CRS."
    _report_unlabelled(pairs, {each.map_path for each in file_tables}, why)
    rules.inventory.report(advice=DRAW_LARGER)
    return file_tables, draw_tables


def _report_unlabelled(pairs: Sequence[Pair], used: set[Path], why: str) -> None:
    missing = [pair for pair in pairs if pair[0] not in used]
    if not used:
        map_path, label_path = missing[0]
        others = f"; nor do the labels of {len(missing) - 1} other map(s)" if missing[1:] else ""
        raise LabelError(f"{label_path}: gives no pixel of {map_path} a label{others}: {why}")
    if missing:
        logger.warning(
            "%d of %d maps have no labelled pixel and are left out: %s",
            len(missing), len(pairs), ", ".join(path.name for path, _ in missing[:3]),
        )  # fmt: skip


def _pooled(file_tables: Sequence[FileContingency], num_classes: int) -> Counts:
    pooled = np.zeros((1, num_classes), np.int64)
    for each in file_tables:
        pooled = added(pooled, each.table)
    return pooled


def _file_agreement(
    file_table: FileContingency, mapping: IntArray, num_classes: int, kind: Kind
) -> FileAgreement:
    table = _pooled([file_table], num_classes)
    picture = file_table.picture
    if picture is not None:
        lookup = np.append(mapping, NO_CLASS)  # index -1, nodata, takes the last entry
        known = np.where(picture.predicted < len(mapping), picture.predicted, -1)
        # labels where the map has no data may have classes that no other pixel has
        truth = np.where(picture.truth < num_classes, picture.truth, -1)
        picture = Picture(lookup[known], truth)
    agreement = _agreement([file_table], table, mapping[: len(table)], kind)
    return FileAgreement(file_table.map_path, file_table.label_path, agreement, picture)


def _agreement(
    file_tables: Sequence[FileContingency], table: Counts, mapping: IntArray, kind: Kind
) -> Agreement:
    confusion = mapped_confusion(table, mapping)
    scores = Scores.from_confusion(confusion)
    pixels = sum(each.pixels for each in file_tables)
    mapped = sum(each.mapped for each in file_tables)
    return Agreement(
        confusion=confusion,
        scores=scores,
        nodata_share=1 - mapped / pixels,
        unlabelled_share=1 - scores.pixels / mapped,
        nmi=nmi(table) if kind == "clusters" else None,
        ari=ari(table) if kind == "clusters" else None,
    )
