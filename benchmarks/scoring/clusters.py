"""Scores (a) to (c): clusters against classes, and classifiers that are trained on labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from clusternet.clustering.kmeans import Codebook
from clusternet.evaluation.draws import draw_blocks
from clusternet.metrics import (
    Counts,
    Scores,
    confusion_matrix,
    majority_mapping,
    mapped_confusion,
    nmi,
    one_to_one_mapping,
)
from clusternet.types import BoolArray, FloatArray, IntArray

BLOCK = 128
SAMPLES_PER_CENTROID = 256
_FOREST_SAMPLES = 20_000


@dataclass(frozen=True)
class Labels:
    """The labels of the pixels on every ``step``-th row and column of the scenes."""

    truth: list[IntArray]
    """For each scene (rows, cols), -1 without label."""
    blocks: list[IntArray]
    """For each scene (rows, cols): the number of the block, counted through all scenes."""
    num_classes: int
    step: int

    @property
    def num_blocks(self) -> int:
        """Number of blocks with at least one label."""
        return max(int(numbers.max()) for numbers in self.blocks) + 1

    @classmethod
    def from_truth(cls, truth: Sequence[IntArray], num_classes: int, step: int) -> Labels:
        """Count the blocks of 128 x 128 pixels that have labels; the others get -1."""
        blocks, first = [], 0
        for labels in truth:
            rows, cols = (np.arange(size) * step // BLOCK for size in labels.shape)
            numbers = rows[:, None] * (cols[-1] + 1) + cols
            used = np.unique(numbers[labels >= 0])
            renumbered = np.full(numbers.max() + 1, -1, np.int32)
            renumbered[used] = first + np.arange(len(used))
            first += len(used)
            blocks.append(renumbered[numbers])
        return cls(list(truth), blocks, num_classes, step)

    def subset(self, chosen: Sequence[int]) -> Labels:
        """Return the labels of some scenes."""
        return Labels.from_truth([self.truth[i] for i in chosen], self.num_classes, self.step)


def sample_vectors(vectors: Sequence[FloatArray], count: int, seed: int) -> FloatArray:
    """Draw about ``count`` vectors (samples, depth) uniformly from the valid pixels."""
    rng = np.random.default_rng(seed)
    usable = [np.flatnonzero(~np.isnan(each[..., 0].ravel())) for each in vectors]
    share = min(1.0, count / sum(map(len, usable)))
    return np.concatenate(
        [
            each.reshape(-1, each.shape[-1])[places[rng.random(len(places)) < share]]
            for each, places in zip(vectors, usable, strict=True)
        ]
    )


def sample_differences(vectors: Sequence[FloatArray], distance: int) -> FloatArray:
    """Return differences (pairs, depth) of vectors ``distance`` rows or columns apart."""
    found = []
    for each in vectors:
        for pair in (
            each[distance:] - each[:-distance], each[:, distance:] - each[:, :-distance]
        ):  # fmt: skip
            flat = pair[::3, ::3].reshape(-1, each.shape[-1])
            found.append(flat[~np.isnan(flat[:, 0])])
    return np.concatenate(found)


def assign(codebook: Codebook, vectors: FloatArray) -> IntArray:
    """Return (rows, cols) clusters, -1 where there is no data."""
    flat = vectors.reshape(-1, vectors.shape[-1])
    known = ~np.isnan(flat[:, 0])
    found = np.full(len(flat), -1, np.int32)
    found[known] = codebook.assign(flat[known])
    return found.reshape(vectors.shape[:2])


def block_tables(maps: Sequence[IntArray], labels: Labels, num_clusters: int) -> Counts:
    """Return (blocks, clusters, classes) counts."""
    tables = np.zeros((labels.num_blocks, num_clusters, labels.num_classes), np.int64)
    for found, truth, blocks in zip(maps, labels.truth, labels.blocks, strict=True):
        used = (truth >= 0) & (found >= 0)
        np.add.at(tables, (blocks[used], found[used], truth[used]), 1)
    return tables


def score_majority(tables: Counts, fraction: float, draws: int) -> dict[str, Any]:
    """Name clusters by the majority of the labelled blocks, score the other blocks: score (a)."""
    total = tables.sum(axis=0)
    scores = []
    for chosen in draw_blocks(len(tables), fraction, draws, seed=1):
        labelled = tables[chosen].sum(axis=0)
        rest = mapped_confusion(total - labelled, majority_mapping(labelled))
        scores.append(Scores.from_confusion(rest))
    return summarise(scores)


def score_matching(tables: Counts) -> dict[str, float]:
    """Pair clusters and classes one to one: score (b)."""
    total = tables.sum(axis=0)
    scores = Scores.from_confusion(mapped_confusion(total, one_to_one_mapping(total)))
    return {"mean_iou": scores.mean_iou, "accuracy": scores.accuracy}


def score_nmi(tables: Counts) -> float:
    """Return the normalised mutual information of clusters and classes: score (c)."""
    return nmi(tables.sum(axis=0))


def score_forest(
    vectors: Sequence[FloatArray], labels: Labels, fraction: float, draws: int
) -> dict[str, Any]:
    """Train a random forest on the labelled blocks, score the other blocks."""
    pixels = np.concatenate([each.reshape(-1, each.shape[-1]) for each in vectors])
    truth = np.concatenate([each.ravel() for each in labels.truth])
    blocks = np.concatenate([each.ravel() for each in labels.blocks])
    used = (truth >= 0) & ~np.isnan(pixels[:, 0])
    pixels, truth, blocks = pixels[used], truth[used], blocks[used]
    scores = []
    for draw, chosen in enumerate(draw_blocks(labels.num_blocks, fraction, draws, seed=1)):
        known = chosen[blocks]
        places = np.flatnonzero(known)
        rng = np.random.default_rng(draw)
        places = rng.choice(places, min(_FOREST_SAMPLES, len(places)), replace=False)
        forest = make_forest(draw).fit(pixels[places], truth[places])
        found = predict_forest(forest, pixels[~known])
        scores.append(
            Scores.from_confusion(confusion_matrix(truth[~known], found, labels.num_classes))
        )
    return summarise(scores)


def make_forest(seed: int) -> RandomForestClassifier:
    """Return a random forest with the settings that pixel classifiers commonly use."""
    return RandomForestClassifier(100, min_samples_leaf=2, n_jobs=-1, random_state=seed)


def predict_forest(forest: RandomForestClassifier, vectors: FloatArray) -> IntArray:
    """Return the class of each vector."""
    return np.asarray(forest.classes_[forest_shares(forest, vectors).argmax(axis=1)], np.int32)


def forest_shares(forest: RandomForestClassifier, vectors: FloatArray) -> FloatArray:
    """Return the probability of each class; in chunks, to save memory."""
    parts = np.array_split(vectors, max(1, len(vectors) // 500_000))
    found = [forest.predict_proba(part) for part in parts if len(part)]
    return np.concatenate(found).astype(np.float32)


def score_map(maps: Sequence[IntArray], labels: Labels, hidden: BoolArray) -> dict[str, Any]:
    """Score class maps on the blocks that are ``hidden``; (blocks,) bool."""
    confusion = np.zeros((labels.num_classes, labels.num_classes), np.int64)
    for found, truth, blocks in zip(maps, labels.truth, labels.blocks, strict=True):
        used = (truth >= 0) & (found >= 0) & hidden[blocks]
        confusion += confusion_matrix(truth, found, labels.num_classes, used)
    return summarise([Scores.from_confusion(confusion)])


def summarise(scores: Sequence[Scores]) -> dict[str, Any]:
    """Return mean and deviation over draws."""
    iou, accuracy = (
        np.array([getattr(score, name) for score in scores]) for name in ("mean_iou", "accuracy")
    )
    return {
        "mean_iou": float(iou.mean()),
        "mean_iou_std": float(iou.std()),
        "accuracy": float(accuracy.mean()),
        "accuracy_std": float(accuracy.std()),
    }
