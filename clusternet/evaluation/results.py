"""The results of an evaluation, before they are written to files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clusternet.evaluation.contingency import Picture
from clusternet.metrics import Counts, Scores, Values
from clusternet.types import UInt8Array

Kind = Literal["classes", "clusters"]


@dataclass(frozen=True)
class Agreement:
    """How well maps agree with labels."""

    confusion: Counts
    """(classes, classes + 1): rows are true classes, the last column is ``no class``."""
    scores: Scores
    """Scores of that confusion matrix."""
    nodata_share: float
    """Share of the pixels that are nodata in the map."""
    unlabelled_share: float
    """Share of the other pixels that have no label."""
    nmi: float | None = None
    """Normalised mutual information of clusters and classes; None for class maps."""
    ari: float | None = None
    """Adjusted Rand index of clusters and classes; None for class maps."""


@dataclass(frozen=True)
class FileAgreement:
    """How well one map agrees with its labels."""

    map_path: Path
    label_path: Path
    agreement: Agreement
    picture: Picture | None
    """Thumbnails in class values, kept for a few files only."""


@dataclass(frozen=True)
class DrawScores:
    """Scores of cluster maps whose clusters were named by a share of the labels.

    In each draw, a share of the blocks of 128 x 128 pixels is taken as labelled. Every cluster
    gets the class that most of its labelled pixels have. The other blocks are scored.
    """

    labelled_fraction: float
    """Share of the blocks that are taken as labelled."""
    seed: int
    """Fixes which blocks are drawn."""
    accuracy: Values
    """(draws,)"""
    mean_iou: Values
    """(draws,)"""
    mean_dice: Values
    """(draws,)"""
    kappa: Values
    """(draws,)"""

    def __len__(self) -> int:
        """Return the number of draws."""
        return len(self.accuracy)


@dataclass(frozen=True)
class EvaluationReport:
    """All results of an evaluation."""

    kind: Kind
    """Whether the maps hold classes, or clusters that were given classes."""
    class_names: tuple[str, ...]
    """Name of each class value from 0 on."""
    colours: UInt8Array
    """(classes, 3) RGB colour of each class value."""
    files: tuple[FileAgreement, ...]
    """One for each map that has labels."""
    pooled: Agreement
    """Over all files. Clusters are named by the majority of *all* labels: an upper bound."""
    one_to_one: Scores | None
    """Scores where each class has one cluster only (Hungarian method); None for class maps."""
    draws: DrawScores | None
    """Scores at a labelled fraction; None for class maps, or where too few labels exist."""
    basis: str = ""
    """How the classes of several files were matched; empty if by their names."""

    @property
    def accuracy(self) -> float:
        """The accuracy to quote: the mean over the draws where there are any."""
        return float(self.draws.accuracy.mean()) if self.draws else self.pooled.scores.accuracy

    @property
    def mean_iou(self) -> float:
        """The mean IoU to quote: the mean over the draws where there are any."""
        return float(self.draws.mean_iou.mean()) if self.draws else self.pooled.scores.mean_iou


@dataclass(frozen=True)
class EpochScores:
    """Scores of the cluster maps that one epoch of training wrote."""

    epoch: int
    pixels: int
    """Pixels that have a cluster and a label."""
    accuracy: float
    """With clusters named by the majority of all labels."""
    mean_iou: float
    """With clusters named by the majority of all labels."""
    nmi: float
    """Normalised mutual information of clusters and classes."""
