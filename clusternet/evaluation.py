"""Score maps against labels, window by window, over any number of files.

Every window is reduced to a table of counts (map value, label) at once, so memory depends on the
numbers of clusters and classes, not on the size of the rasters.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from clusternet.class_list import ClassList, is_no_class
from clusternet.draws import check_draw_settings, draw_blocks, score_draws
from clusternet.errors import LabelError
from clusternet.evaluation_report import (
    Agreement,
    EvaluationReport,
    FileAgreement,
    Kind,
)
from clusternet.metrics import (
    NO_CLASS,
    Counts,
    Scores,
    ari,
    majority_mapping,
    mapped_confusion,
    nmi,
    one_to_one_mapping,
)
from clusternet.pairing import Pair, pair_files
from clusternet.tally import (
    FileTally,
    LabelOptions,
    MapHeader,
    Picture,
    added,
    read_header,
    tally_file,
)
from clusternet.types import BoolArray, IntArray
from clusternet.vectors import class_names, is_vector

logger = logging.getLogger(__name__)

_NUM_PICTURES = 6


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
) -> EvaluationReport:
    """Score maps against labels.

    Args:
        maps: a map, or a folder of maps.
        labels: a label raster or vector file, on any grid, or a folder of them (matched by base
            name, see ``clusternet.pairing.pair_files``).
        clusters: True for cluster maps, False for class maps; None asks the maps (their tag
            ``CLUSTERNET_KIND``), and takes them as class maps where they do not say.
        classes: the classes that labels may hold; None takes any, with the names that the
            files state.
        class_field: field of vector labels that holds the class.
        layer: layer of vector files that hold several.
        ignore_label: label value of pixels without a label, beside the label file's own nodata;
            None means 255 in 8-bit label rasters.
        labelled_fraction: of cluster maps, share of the blocks whose labels name the clusters.
        draws: of cluster maps, number of times that such blocks are drawn.
        seed: fixes the draws.

    Raises:
        LabelError: if no map has labels, or labels hold unexpected values.
        GridMismatchError: if labels cannot be laid over their map.
        RasterError: if a raster cannot be read.
        SettingsError: if the labelled fraction or the number of draws cannot be used.
    """
    check_draw_settings(labelled_fraction, draws, seed)
    classes = classes or ClassList()
    pairs = pair_files(maps, labels)
    headers = [read_header(path) for path, _ in pairs]
    kind = _resolve_kind(clusters, headers)
    num_blocks = sum(header.num_blocks for header in headers)
    drawn = draw_blocks(num_blocks, labelled_fraction, draws if kind == "clusters" else 0, seed)
    options = LabelOptions(ignore_label, class_field, layer)
    tallies, labelled = _tally_all(pairs, headers, drawn, classes, options)
    names = _class_names(tallies, kind, classes)
    table = _pooled(tallies, len(names))
    mapping = majority_mapping(table) if kind == "clusters" else _identity(table, names, classes)
    draw_scores = one_to_one = None
    if kind == "clusters":
        draw_scores = score_draws(labelled, table, labelled_fraction, seed)
        one_to_one = Scores.from_confusion(mapped_confusion(table, one_to_one_mapping(table)))
    return EvaluationReport(
        kind=kind,
        class_names=names,
        colours=classes.colour_table(len(names)),
        files=tuple(_file_agreement(tally, mapping, len(names), kind) for tally in tallies),
        pooled=_agreement(tallies, table, mapping, kind),
        one_to_one=one_to_one,
        draws=draw_scores,
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


def _tally_all(
    pairs: Sequence[Pair],
    headers: Sequence[MapHeader],
    drawn: BoolArray,
    classes: ClassList,
    options: LabelOptions,
) -> tuple[list[FileTally], Counts]:
    """Count all files; return those that have labels, and the labelled tables of the draws."""
    options = replace(options, numbers=_class_numbers(pairs, classes, options))
    pictured = set(np.linspace(0, len(pairs) - 1, _NUM_PICTURES).round().astype(int).tolist())
    ends = np.cumsum([header.num_blocks for header in headers])
    tallies = []
    labelled = np.zeros((len(drawn), 1, 1), np.int64)
    total = sum(header.shape[0] * header.shape[1] for header in headers)
    with tqdm(total=total, unit="px", unit_scale=True, desc="evaluating", disable=None) as bar:
        for number, (header, (_, label_path)) in enumerate(zip(headers, pairs, strict=True)):
            tally, part = tally_file(
                header, label_path, drawn[:, ends[number] - header.num_blocks : ends[number]],
                classes=classes, options=options, with_picture=number in pictured,
                progress=bar.update,
            )  # fmt: skip
            if tally.table.any():
                tallies.append(tally)
                labelled = added(labelled, part)
    _report_unlabelled(pairs, {tally.map_path for tally in tallies})
    return tallies, labelled


def _class_numbers(
    pairs: Sequence[Pair], classes: ClassList, options: LabelOptions
) -> Mapping[str, int] | None:
    """Give numbers to the class names that vector labels hold as text, alike in all files."""
    if classes.names:
        return {name: value for value, name in classes.names.items()}
    vectors = sorted({label for _, label in pairs if is_vector(label)})
    names = class_names(vectors, class_field=options.class_field, layer=options.layer)
    return {name: value for value, name in enumerate(names)} or None


def _report_unlabelled(pairs: Sequence[Pair], used: set[Path]) -> None:
    missing = [pair for pair in pairs if pair[0] not in used]
    if not used:
        map_path, label_path = missing[0]
        others = f"; nor do the labels of {len(missing) - 1} other map(s)" if missing[1:] else ""
        raise LabelError(
            f"{label_path}: gives no pixel of {map_path} a label: it lies elsewhere, or holds "
            f"nothing but nodata and the ignored label (--ignore_label){others}."
        )
    if missing:
        logger.warning(
            "%d of %d maps have no labelled pixel and are left out: %s",
            len(missing), len(pairs), ", ".join(path.name for path, _ in missing[:3]),
        )  # fmt: skip


def _class_names(tallies: Sequence[FileTally], kind: Kind, classes: ClassList) -> tuple[str, ...]:
    """Name every class: as the user does, else as the class maps, else as the label files do."""
    num_labels = max(tally.table.shape[1] for tally in tallies)
    if classes.names:
        return tuple(map(classes.name, range(classes.num_classes)))
    num_classes = num_labels
    names: dict[int, str] = {}
    for tally in tallies:
        names = dict(tally.label_names) | names
    if kind == "classes":
        num_classes = max(num_labels, *(tally.table.shape[0] for tally in tallies))
        for tally in tallies:
            names |= tally.map_names
        _warn_of_clusters(num_classes, num_labels)
    shown = [names.get(value) or classes.name(value) for value in range(num_classes)]
    return tuple(
        name if shown.count(name) == 1 else f"{name} ({value})" for value, name in enumerate(shown)
    )


def _warn_of_clusters(num_classes: int, num_labels: int) -> None:
    if num_classes > 2 * num_labels + 2:
        logger.warning(
            "the maps hold values up to %d but the labels only up to %d; "
            "add --clusters if they are cluster maps", num_classes - 1, num_labels - 1,
        )  # fmt: skip


def _identity(table: Counts, names: Sequence[str], classes: ClassList) -> IntArray:
    """Map each value of class maps to itself, or to no class where it is no known class."""
    mapping = np.full(len(table), NO_CLASS, np.int32)
    known = set(classes.names or range(len(names)))
    for value in known & set(range(len(table))):
        if not is_no_class(names[value]):
            mapping[value] = value
    strange = set(np.flatnonzero(table.any(axis=1)).tolist()) - known - classes.no_classes
    if strange:
        logger.warning(
            "the maps hold %d value(s) that the class list does not name, such as %d; they count "
            "as wrong; add --clusters if they are cluster maps", len(strange), min(strange),
        )  # fmt: skip
    return mapping


def _pooled(tallies: Sequence[FileTally], num_classes: int) -> Counts:
    pooled = np.zeros((1, num_classes), np.int64)
    for tally in tallies:
        pooled = added(pooled, tally.table)
    return pooled


def _file_agreement(
    tally: FileTally, mapping: IntArray, num_classes: int, kind: Kind
) -> FileAgreement:
    table = _pooled([tally], num_classes)
    picture = tally.picture
    if picture is not None:
        lookup = np.append(mapping, NO_CLASS)  # the last entry serves the -1 of nodata
        known = np.where(picture.predicted < len(mapping), picture.predicted, -1)
        picture = Picture(lookup[known], picture.truth)
    agreement = _agreement([tally], table, mapping[: len(table)], kind)
    return FileAgreement(tally.map_path, tally.label_path, agreement, picture)


def _agreement(
    tallies: Sequence[FileTally], table: Counts, mapping: IntArray, kind: Kind
) -> Agreement:
    confusion = mapped_confusion(table, mapping)
    scores = Scores.from_confusion(confusion)
    pixels, mapped = sum(t.pixels for t in tallies), sum(t.mapped for t in tallies)
    return Agreement(
        confusion=confusion,
        scores=scores,
        nodata_share=1 - mapped / pixels,
        unlabelled_share=1 - scores.pixels / mapped,
        nmi=nmi(table) if kind == "clusters" else None,
        ari=ari(table) if kind == "clusters" else None,
    )
