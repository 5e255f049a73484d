"""Score (d): strokes that a simulated user needs until the map is good enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from clusternet.interactive.classifiers import Samples
from clusternet.interactive.classifiers import Scene as FitScene
from clusternet.interactive.mapping import majority
from clusternet.interactive.rules import DEFAULT_RULE, fit_rule
from clusternet.metrics import Scores, confusion_matrix
from clusternet.types import BoolArray, FloatArray, IntArray
from scoring.clusters import make_forest, predict_forest

LENGTH, WIDTH = 20, 3
"""Pixels of a stroke."""
Rule = Callable[[FloatArray, IntArray, FloatArray], IntArray]
"""(vectors under strokes, their classes, vectors of the scene) -> class of each pixel."""


def forest_rule(vectors: FloatArray, classes: IntArray, scene: FloatArray) -> IntArray:
    """Random forest, as ilastik trains it on what is drawn."""
    return predict_forest(make_forest(1).fit(vectors, classes), scene)


def interactive_rule(projection: FloatArray | None) -> Rule:
    """Return the default rule of tools/interactive.py, on vectors stored as bytes as it does.

    Args:
        projection: (depth, dimensions) of the vectors into the space of K-Means; None if it is
            that of the standardised vectors.
    """

    def rule(vectors: FloatArray, classes: IntArray, scene: FloatArray) -> IntArray:
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
        samples = Samples(store(vectors), np.zeros(len(vectors), np.int32), classes)
        classifier = fit_rule(DEFAULT_RULE, samples, fitted)
        return classifier.classify(stored, np.zeros(len(stored), np.int32))

    return rule


def simulate(
    vectors: FloatArray, truth: IntArray, rule: Rule, rounds: int, seed: int, smooth: int = 1
) -> list[tuple[int, float]]:
    """Draw rounds of strokes, in each one stroke a class where the map is wrong.

    Args:
        vectors: (rows, cols, depth) of a scene.
        truth: (rows, cols), -1 without label.
        rule: turns strokes into a map.
        rounds: at most.
        seed: fixes where strokes lie inside of wrong regions.
        smooth: side of the square whose most frequent class a pixel takes; the user sees and
            corrects the smoothed map.

    Returns:
        (strokes so far, mIoU) after each round.
    """
    rng = np.random.default_rng(seed)
    numbers = np.unique(truth[truth >= 0])
    flat = np.nan_to_num(vectors.reshape(-1, vectors.shape[-1]))
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
        places = np.concatenate(drawn)
        found = rule(flat[places], np.concatenate(classes), flat).reshape(truth.shape)
        if smooth > 1:
            found = majority(found, numbers, smooth // 2)
        confusion = confusion_matrix(
            np.searchsorted(numbers, np.maximum(truth, numbers[0])),
            np.searchsorted(numbers, found), len(numbers), truth >= 0,
        )  # fmt: skip
        curve.append((strokes, Scores.from_confusion(confusion).mean_iou))
    return curve


def strokes_until(curve: Sequence[tuple[int, float]], goal: float) -> int | None:
    """Return the strokes after which the mIoU first reached ``goal``; None if it never did."""
    return next((count for count, score in curve if score >= goal), None)


def largest_region(mask: BoolArray) -> BoolArray:
    """Return the largest connected region, thin places not counted."""
    opened = ndimage.binary_opening(mask, iterations=2)
    labels, _ = ndimage.label(opened if opened.any() else mask)
    sizes = np.bincount(labels.ravel())[1:]
    return np.asarray(labels == sizes.argmax() + 1)


def draw_stroke(region: BoolArray, rng: np.random.Generator) -> BoolArray:
    """Return the pixels of a stroke through the deepest place of a region, inside of it."""
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
