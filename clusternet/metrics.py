"""Agreement of maps with labels, and of assignments with each other. Arrays only, no files.

Everything is computed from contingency tables. Tables of several windows and files are added, so
memory does not grow with the number of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clusternet.errors import LabelError
from clusternet.types import NO_CLASS, AnyArray, BoolArray, IntArray

Counts = NDArray[np.int64]
Values = NDArray[np.float64]


def contingency_table(
    first: AnyArray,
    second: AnyArray,
    num_first: int,
    num_second: int,
    valid: BoolArray | None = None,
) -> Counts:
    """Count how often each pair of values occurs at the same pixel.

    Args:
        first: whole numbers from 0 to ``num_first - 1``, of any shape.
        second: whole numbers from 0 to ``num_second - 1``, of the same shape.
        num_first: number of values of ``first``, the rows of the table.
        num_second: number of values of ``second``, the columns of the table.
        valid: of the same shape, False on pixels to leave out.

    Returns:
        (num_first, num_second) int64; tables of several windows may be added.

    Raises:
        LabelError: if a value lies outside its range.
    """
    if valid is not None:
        first, second = first[valid], second[valid]
    _check_range(first, num_first)
    _check_range(second, num_second)
    # one number for each pair, so that a single bincount fills the table
    pairs = first.astype(np.int64).ravel() * num_second + second.ravel()
    return np.bincount(pairs, minlength=num_first * num_second).reshape(num_first, num_second)


def confusion_matrix(
    truth: AnyArray, predicted: AnyArray, num_classes: int, valid: BoolArray | None = None
) -> Counts:
    """Count pixels by true class (rows) and predicted class (columns).

    Args:
        truth: class of each pixel, 0 to ``num_classes - 1``.
        predicted: predicted class, of the same shape and range.
        num_classes: number of classes.
        valid: False on pixels to leave out.

    Returns:
        (num_classes, num_classes) int64; matrices of several windows may be added.

    Raises:
        LabelError: if a value lies outside its range.
    """
    return contingency_table(truth, predicted, num_classes, num_classes, valid)


def _check_range(values: AnyArray, count: int) -> None:
    if values.size and not (values.min() >= 0 and values.max() < count):
        raise LabelError(
            f"Expected values from 0 to {count - 1}, found {values.min()} to {values.max()}."
        )


@dataclass(frozen=True)
class Scores:
    """Agreement of a prediction with the truth; every number but ``pixels`` lies in [-1, 1].

    A class that is in neither truth nor prediction has NaN scores and is left out of the means;
    a class that is in only one of them scores 0. scikit-learn does the same.
    """

    pixels: int
    """Pixels that were compared."""
    accuracy: float
    """Share of pixels with the right class."""
    mean_iou: float
    """Mean over classes of intersection over union."""
    mean_dice: float
    """Mean over classes of the Dice coefficient, which is the F1 score."""
    kappa: float
    """Cohen's kappa: agreement beyond chance; NaN if all pixels agree by chance alone."""
    iou: Values
    """Intersection over union of each class; (classes,)."""
    dice: Values
    """Dice coefficient (F1 score) of each class; (classes,)."""
    precision: Values
    """Share of the pixels predicted as the class that are of it; (classes,)."""
    recall: Values
    """Share of the pixels of the class that were predicted as it; (classes,)."""

    @classmethod
    def from_confusion(cls, confusion: Counts) -> Scores:
        """Compute the scores of a confusion matrix.

        Args:
            confusion: rows are true classes, columns predicted ones; (classes, classes), or
                (classes, classes + 1) where the last column counts pixels predicted as no
                class, which are wrong and belong to no class's prediction.
        """
        num_classes = len(confusion)
        right = np.diagonal(confusion).astype(float)
        true = confusion.sum(axis=1).astype(float)
        predicted = confusion.sum(axis=0).astype(float)[:num_classes]
        pixels = int(confusion.sum())
        present = (true + predicted) > 0
        iou = _ratio(right, true + predicted - right, present)
        dice = _ratio(2 * right, true + predicted, present)
        accuracy = float(right.sum() / pixels) if pixels else float("nan")
        return cls(
            pixels=pixels,
            accuracy=accuracy,
            mean_iou=_mean(iou),
            mean_dice=_mean(dice),
            kappa=_kappa(accuracy, true, predicted, pixels),
            iou=iou,
            dice=dice,
            precision=_ratio(right, predicted, present),
            recall=_ratio(right, true, present),
        )


def _ratio(numerator: Values, denominator: Values, present: BoolArray) -> Values:
    """Return the ratio of two counts; 0 where the denominator is 0, NaN where not present."""
    return np.where(present, numerator / np.maximum(denominator, 1), np.nan)


def _mean(values: Values) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _kappa(accuracy: float, true: Values, predicted: Values, pixels: int) -> float:
    if not pixels:
        return float("nan")
    by_chance = float((true / pixels) @ (predicted / pixels))
    return (accuracy - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")


def majority_mapping(table: Counts) -> IntArray:
    """Give each cluster the class that most of its labelled pixels have.

    A tie goes to the lower class; a cluster without labelled pixels gets the class that is
    most frequent over all.

    Args:
        table: (clusters, classes) counts.

    Returns:
        (clusters,) class of each cluster.
    """
    mapping: IntArray = table.argmax(axis=1).astype(np.int32)
    mapping[table.sum(axis=1) == 0] = table.sum(axis=0).argmax()
    return mapping


def one_to_one_mapping(table: Counts) -> IntArray:
    """Pair clusters with classes, each used once, so that most pixels agree (Hungarian method).

    Args:
        table: (clusters, classes) counts.

    Returns:
        (clusters,) class of each cluster; ``NO_CLASS`` for those left over where clusters
        outnumber classes.
    """
    from scipy.optimize import linear_sum_assignment

    clusters, classes = linear_sum_assignment(table, maximize=True)
    mapping = np.full(len(table), NO_CLASS, np.int32)
    mapping[clusters] = classes
    return mapping


def mapped_confusion(table: Counts, mapping: IntArray) -> Counts:
    """Return the confusion matrix of a cluster map whose clusters are renamed by ``mapping``.

    Args:
        table: (clusters, classes) counts.
        mapping: (clusters,) class of each cluster, or ``NO_CLASS``, whose pixels count as wrong.

    Returns:
        (classes, classes + 1): rows are true classes; the last column holds pixels of clusters
        that stand for no class.
    """
    num_classes = table.shape[1]
    columns = np.zeros((num_classes + 1, num_classes), np.int64)
    np.add.at(columns, np.where(mapping == NO_CLASS, num_classes, mapping), table)
    return columns.T


def nmi(table: Counts) -> float:
    """Return the normalised mutual information of two assignments (arithmetic mean).

    Args:
        table: (first, second) contingency table of the two.

    Returns:
        0 for independent assignments, 1 for the same up to the names of the values.
    """
    total = table.sum()
    rows, cols = table.sum(axis=1), table.sum(axis=0)
    if np.count_nonzero(rows) <= 1 and np.count_nonzero(cols) <= 1:
        return 1.0  # both entropies are 0; as in scikit-learn, two constant assignments agree
    first, second = np.nonzero(table)
    joint = table[first, second] / total
    by_chance = (rows[first] / total) * (cols[second] / total)
    mutual = float((joint * np.log(joint / by_chance)).sum())
    normaliser = (_entropy(rows) + _entropy(cols)) / 2
    return min(max(mutual / normaliser, 0.0), 1.0)  # rounding may leave the range by 1e-16


def _entropy(counts: Counts) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def ari(table: Counts) -> float:
    """Return the adjusted Rand index of two assignments: agreement on pairs beyond chance.

    Args:
        table: (first, second) contingency table of the two.

    Returns:
        about 0 for independent assignments, 1 for the same up to the names of the values.
    """
    # Hubert and Arabie (1985), "Comparing partitions"
    together = _pairs(table)
    first, second = _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0))
    every = _pairs(table.sum())
    if together == first == second:
        return 1.0
    by_chance = first / every * second
    return (together - by_chance) / ((first + second) / 2 - by_chance)


def _pairs(counts: Counts) -> float:
    # In floating point, because the pairs of a few thousand million pixels overflow int64.
    values = counts.astype(float)
    return float((values * (values - 1) / 2).sum())
