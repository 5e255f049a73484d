"""Name clusters by the votes of labelled pixels."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from clusternet.classes.voting import Votes
from clusternet.errors import RunError, SettingsError
from clusternet.legend.class_list import ClassList
from clusternet.legend.land_classes import LandClass, make_classes, unknown_class
from clusternet.legend.legend import Legend, LegendRow
from clusternet.types import BoolArray, FloatArray, IntArray

logger = logging.getLogger(__name__)

Rule = Literal["auto", "clusters", "classifier", "majority", "binary"]
Unlabelled = Literal["nearest", "unknown"]
RULES: tuple[Rule, ...] = ("auto", "clusters", "classifier", "majority", "binary")
UNLABELLED_CHOICES: tuple[Unlabelled, ...] = ("nearest", "unknown")


@dataclass(frozen=True)
class NamingOptions:
    """How the votes of labelled pixels name clusters."""

    rule: Rule | None = None
    """``clusters`` or ``majority`` names clusters by the majority of the labelled pixels,
    ``binary`` by the published code's rule for classes 0 and 1; ``auto`` compares that with
    classifiers of features, ``classifier`` compares these alone. None takes ``auto`` where run and
    rasters are known, else ``clusters``."""
    keep_clust_threshold: float = 0.5
    """Of the binary rule: share of a cluster's labelled pixels that must be 1."""
    unlabelled: Unlabelled = "nearest"
    """What a cluster without labels becomes: the class of the nearest labelled centroid, or
    unknown; the binary rule makes it 0."""

    def __post_init__(self) -> None:
        """Refuse values that cannot be used."""
        for name, allowed in (("rule", RULES), ("unlabelled", UNLABELLED_CHOICES)):
            if getattr(self, name) not in (*allowed, *((None,) if name == "rule" else ())):
                raise SettingsError(
                    f"--{name}: expected one of {', '.join(allowed)}, received "
                    f"{getattr(self, name)}."
                )
        if not 0 < self.keep_clust_threshold <= 1:
            raise SettingsError(
                "--keep_clust_threshold: expected a number above 0 and at most 1, received "
                f"{self.keep_clust_threshold:g}."
            )


@dataclass(frozen=True)
class Naming:
    """A legend, and which class clusters without labels got."""

    legend: Legend
    """The legend."""
    num_untouched: int
    """Clusters that no label touches."""
    untouched_became: str
    """``nearest``, ``unknown`` or ``class 0``."""


def name_clusters(
    votes: Votes,
    options: NamingOptions,
    *,
    classes: ClassList,
    centroids: FloatArray | None = None,
    run: str | None = None,
) -> Naming:
    """Make a legend from votes.

    Args:
        votes: the votes.
        options: the rule.
        classes: classes that the user named; perhaps more than have votes.
        centroids: (clusters, depth) of the run; without them no cluster is nearest to another.
        run: identity of the run, for the legend.

    Raises:
        LabelError: if the binary rule meets other labels than 0 and 1.
    """
    touched = votes.labelled() > 0
    binary = options.rule == "binary"
    mapping = votes.binary(options.keep_clust_threshold) if binary else votes.majority()
    known = make_classes(
        {*votes.numbers, *classes.names, *((0, 1) if binary else ())}, votes.names, votes.colours
    )
    # the published rule asks only for enough pixels of class 1: a cluster without any becomes 0
    became = "class 0" if binary else options.unlabelled
    if became == "nearest" and touched.all():
        pass
    elif became == "nearest" and centroids is not None:
        mapping = _from_nearest(mapping, touched, centroids)
    elif not binary:
        if became == "nearest":
            logger.warning(
                "%d cluster(s) have no labels and become unknown, because which labelled cluster "
                "is nearest stands in the run folder only: give it with --run RUN.",
                int((~touched).sum()),
            )
        became = "unknown"
        unknown = unknown_class(known)
        known[unknown.number] = unknown
        mapping = np.where(touched, mapping, unknown.number).astype(np.int32)
    return Naming(_legend(votes, mapping, known, run), int((~touched).sum()), became)


def read_centroids(run: Path, identity: str | None, num_clusters: int) -> FloatArray:
    """Read the centroids of a run, (clusters, depth), and check that maps come from it.

    Raises:
        RunError: if the run folder is incomplete, or another than that of the maps.
    """
    from clusternet.training.run_files import CODEBOOK
    from clusternet.training.stored_codebook import (
        read_codebook,  # loads faiss: only where it is needed
    )

    stored = read_codebook(run / CODEBOOK)[0]
    centroids = stored.codebook.centroids
    if identity not in (None, stored.identity) or num_clusters > len(centroids):
        raise RunError(
            f"{run}: is not the run that made the maps (codebook {stored.identity} with "
            f"{len(centroids)} clusters; the maps say {identity or 'nothing'}, {num_clusters} "
            "clusters)."
        )
    return centroids


def _from_nearest(mapping: IntArray, touched: BoolArray, centroids: FloatArray) -> IntArray:
    """Give clusters without labels the class of the nearest centroid that has some."""
    from scipy.spatial.distance import cdist

    donors = np.flatnonzero(touched)
    distances = cdist(centroids[: len(mapping)], centroids[donors])
    nearest = donors[distances.argmin(axis=1)]
    result: IntArray = np.where(touched, mapping, mapping[nearest]).astype(np.int32)
    return result


def warn_of_lost_classes(votes: Votes, legend: Legend) -> None:
    """Warn of classes that have labels and no cluster.

    Only where clusters are named: a classifier of features finds such classes nevertheless.
    """
    classes = make_classes(set(votes.numbers), votes.names, votes.colours)
    for number in sorted(set(votes.numbers) - set(legend.lookup().tolist())):
        logger.warning(
            "no cluster stands for the class '%s' (%d labelled pixels): its pixels lie in "
            "clusters that others hold more of.",
            classes[number].name, int(votes.by_class[number].sum()),
        )  # fmt: skip


def _legend(
    votes: Votes, mapping: IntArray, classes: dict[int, LandClass], run: str | None
) -> Legend:
    labelled, purity = votes.labelled(), votes.purity(mapping)
    rows = tuple(
        LegendRow(
            cluster,
            classes[number],
            int(labelled[cluster]),
            float(purity[cluster]) if labelled[cluster] else None,
        )
        for cluster, number in enumerate(mapping.tolist())
    )
    return Legend(rows, run)
