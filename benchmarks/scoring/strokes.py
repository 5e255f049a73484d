"""Score (d): strokes that a simulated user needs until the map is good enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from clusternet.learning.classifiers import Samples
from clusternet.learning.classifiers import Scene as FitScene
from clusternet.learning.rules import DEFAULT_RULE, fit_rule
from clusternet.learning.smoothing import (
    GRID,
    CoarseProbabilities,
    smooth_classes,
    smoothing_radius,
)
from clusternet.metrics import Scores, confusion_matrix
from clusternet.prediction.guide import edge_axes
from clusternet.types import NO_CLASS, AnyArray, BoolArray, FloatArray, IntArray
from scoring.clusters import forest_shares, make_forest

LENGTH, WIDTH = 20, 3
"""Pixels of a stroke."""
Rule = Callable[[FloatArray, IntArray, int, FloatArray], FloatArray]
"""(vectors under strokes, their classes, number of strokes, vectors of the scene) -> how likely
each class that was drawn is, in the order of their numbers; (pixels, classes)."""


def forest_rule(
    vectors: FloatArray, classes: IntArray, strokes: int, scene: FloatArray
) -> FloatArray:
    """Classify by a random forest on the strokes, as ilastik does."""
    return forest_shares(make_forest(1).fit(vectors, classes), scene)


def interactive_rule(projection: FloatArray | None) -> Rule:
    """Return the default rule of tools/interactive.py, on vectors stored as bytes as it does.

    Args:
        projection: (depth, dimensions) of the vectors into the space of K-Means; None if it is
            that of the standardised vectors.
    """

    def rule(vectors: FloatArray, classes: IntArray, strokes: int, scene: FloatArray) -> FloatArray:
        low, high = np.percentile(scene[:: max(1, len(scene) // 20_000)], (0.5, 99.5), axis=0)
        step = np.maximum(high - low, 1e-6).astype(np.float32) / 255

        def store(values: FloatArray) -> np.ndarray:
            return np.clip((values - low) / step, 0, 255).astype(np.uint8)

        stored = store(scene)
        sample = stored[:: max(1, len(stored) // 20_000)]
        stored_projection = None if projection is None else step[:, None] * projection
        none = np.zeros(0, np.int32)
        centroids = np.zeros((0, scene.shape[1]), np.float32)
        fitted = FitScene(sample, none, centroids, stored_projection)
        samples = Samples(store(vectors), np.zeros(len(vectors), np.int32), classes, strokes)
        classifier = fit_rule(DEFAULT_RULE, samples, fitted)
        return classifier.probabilities(stored, np.zeros(len(stored), np.int32))

    return rule


@dataclass(frozen=True)
class Canvas:
    """A square of a scene on which strokes are drawn."""

    vectors: FloatArray
    """(rows, cols, depth)"""
    truth: IntArray
    """(rows, cols), -1 without label."""
    guide: FloatArray
    """(channels, rows, cols) the bands, three at most, in levels of a byte."""

    @property
    def num_classes(self) -> int:
        """The number of classes that occur."""
        return len(np.unique(self.truth[self.truth >= 0]))


def make_guide(pixels: AnyArray, valid: BoolArray) -> FloatArray:
    """Return the guide of the edge-aware smoothing (rows, cols, bands), and valid (rows, cols)."""
    if not valid.any():
        valid = np.ones_like(valid)
        pixels = np.zeros_like(pixels)
    low, high = np.percentile(pixels[valid].astype(np.float64), (0.5, 99.5), axis=0)
    flat = np.where(valid[..., None], pixels, low).reshape(-1, pixels.shape[-1])  # nodata: dark
    levels = np.clip((flat - low) / np.maximum(high - low, 1e-6) * 254, 0, 254)
    levels = levels @ edge_axes(np.atleast_2d(np.cov(levels.T)))
    return np.asarray(levels.T.reshape(-1, *pixels.shape[:2]), np.float32)


def simulate(
    canvas: Canvas, rule: Rule, rounds: int, seed: int, smooth: int = 1
) -> list[tuple[int, float]]:
    """Draw rounds of strokes, in each one stroke a class where the map is wrong.

    Args:
        canvas: a square of a scene.
        rule: turns strokes into a map.
        rounds: at most.
        seed: fixes where strokes lie inside of wrong regions.
        smooth: side of the squares that smooth the map along edges of the image, as
            `tools/interactive.py` does; the user sees and corrects the smoothed map.

    Returns:
        (strokes so far, mIoU) after each round.
    """
    rng = np.random.default_rng(seed)
    truth = canvas.truth
    numbers = np.unique(truth[truth >= 0])
    flat = np.nan_to_num(canvas.vectors.reshape(-1, canvas.vectors.shape[-1]))
    found = np.full(truth.shape, -1, np.int32)
    drawn, classes, strokes, curve = [], [], 0, []
    for _ in range(rounds):
        for number in numbers:
            wrong = (truth == number) & (found != number)
            if not wrong.any():
                continue
            stroke = draw_stroke(largest_region(wrong), rng)
            drawn.append(np.flatnonzero(stroke))
            classes.append(np.full(len(drawn[-1]), number, np.int32))
            strokes += 1
        pixels_drawn = np.concatenate(drawn)
        shares = rule(flat[pixels_drawn], np.concatenate(classes), strokes, flat).T
        class_map = _as_map(shares.reshape(-1, *truth.shape), numbers, canvas.guide, smooth)
        confusion = confusion_matrix(
            np.searchsorted(numbers, np.maximum(truth, numbers[0])),
            np.searchsorted(numbers, class_map), len(numbers), truth >= 0,
        )  # fmt: skip
        curve.append((strokes, Scores.from_confusion(confusion).mean_iou))
    return curve


def _as_map(shares: FloatArray, numbers: IntArray, guide: FloatArray, smooth: int) -> IntArray:
    """Return the most likely class of each pixel; (classes, rows, cols) -> (rows, cols)."""
    radius = smoothing_radius(smooth, 1, follows_edges=True)
    if not radius:
        return np.asarray(numbers[shares.argmax(axis=0)])
    everywhere = np.ones(shares.shape[1:], bool)
    few = slice(None, None, GRID)
    own = np.full(everywhere.shape, NO_CLASS, np.int32)
    coarse = CoarseProbabilities(
        shares[:, few, few], everywhere[few, few], guide, own, everywhere, GRID
    )
    return smooth_classes(coarse, numbers.astype(np.int32), radius)


def strokes_until(curve: Sequence[tuple[int, float]], goal: float) -> int | None:
    """Return the strokes after which the mIoU first reached ``goal``; None if it never did."""
    return next((count for count, score in curve if score >= goal), None)


def largest_region(mask: BoolArray) -> BoolArray:
    """Return the largest connected region after erosion, which drops thin ones."""
    opened = ndimage.binary_opening(mask, iterations=2)
    labels, _ = ndimage.label(opened if opened.any() else mask)
    sizes = np.bincount(labels.ravel())[1:]
    return np.asarray(labels == sizes.argmax() + 1)


def draw_stroke(region: BoolArray, rng: np.random.Generator) -> BoolArray:
    """Return the pixels of a stroke inside a region, through its pixel farthest from the border."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    deepest = np.argwhere(depth >= depth.max() * 0.9)
    row, col = deepest[rng.integers(len(deepest))]
    best = np.zeros_like(region)
    for angle in rng.permutation(np.linspace(0, np.pi, 8, endpoint=False)):
        reach = np.arange(-LENGTH // 2, LENGTH // 2 + 1)
        line = np.zeros_like(region)
        rows = np.rint(row + reach * np.sin(angle)).astype(int)
        cols = np.rint(col + reach * np.cos(angle)).astype(int)
        inside = (rows >= 0) & (rows < len(region)) & (cols >= 0) & (cols < region.shape[1])
        line[rows[inside], cols[inside]] = True
        line = ndimage.binary_dilation(line, np.ones((WIDTH, WIDTH), bool)) & region
        if line.sum() > best.sum():
            best = line
    return best
