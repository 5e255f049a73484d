"""Classes, confidence, areas and uncertain regions of a scene whose features are cached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import compress

import numpy as np
import shapely
from numpy.typing import NDArray

from clusternet.labels.strokes import Stroke, sample_pixels
from clusternet.learning.classifiers import Classifier, Samples, Scene
from clusternet.learning.smoothing import (
    GRID,
    border,
    classify_coarsely,
    smooth_classes,
    smoothing_radius,
)
from clusternet.metrics import contingency_table
from clusternet.prediction.feature_cache import STEPS, WINDOW, FeatureCache
from clusternet.types import NO_CLASS, AnyArray, FloatArray, IntArray
from clusternet.windows import Window, blocks

DEFAULT_SMOOTH = 17
"""Default side, in pixels, of the squares that smooth a map."""
PER_STROKE = 300
"""Pixels that one stroke gives to the fit, at most."""
IN_ALL = 3000
"""Pixels that all strokes give, at most, because the time of a fit grows with them."""
_ROWS_AT_ONCE = 64  # of a classified window, so that scores stay in the processor's cache
_SCENE_SAMPLE = 20_000
_QUICK_PIXELS = 1_100_000


def collect_samples(cache: FeatureCache, strokes: Sequence[Stroke]) -> Samples:
    """Return the stored pixels under strokes, without those that have no features yet.

    Strokes that are held back as a check give none.
    """
    return collect_project_samples([(cache, strokes)])


def collect_project_samples(
    scenes: Sequence[tuple[FeatureCache, Sequence[Stroke]]],
) -> Samples:
    """Return the stored pixels under the strokes of several scenes of one run.

    Args:
        scenes: features and strokes of each scene.
    """
    drawn = [
        (cache, [stroke for stroke in strokes_on(cache, strokes) if not stroke.is_check])
        for cache, strokes in scenes
    ]
    total = sum(len(strokes) for _, strokes in drawn)
    parts = []
    for cache, strokes in drawn:
        positions, classes = sample_pixels(
            strokes, cache.shape, PER_STROKE, len(strokes) * max(1, IN_ALL // max(1, total))
        )
        features, clusters, valid = cache.at(positions)
        parts.append((features[valid], clusters[valid], classes[valid]))
    features, clusters, classes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Samples(features, clusters, classes, total)


def strokes_on(cache: FeatureCache, strokes: Sequence[Stroke]) -> list[Stroke]:
    """Return the strokes that lie on the scene.

    Pieces that an eraser left beside the scene are not read from a file, so they never count.
    """
    raster = shapely.box(0, 0, cache.shape[1], cache.shape[0])
    lines = np.array([stroke.geometry for stroke in strokes], object)
    counts = shapely.dwithin(lines, raster, [stroke.reach for stroke in strokes])
    return list(compress(strokes, counts))


def sample_scene(cache: FeatureCache) -> Scene:
    """Return an even sample of the scene, of about 20,000 pixels."""
    pixels = cache.shape[0] * cache.shape[1]
    step = 1
    while pixels > _SCENE_SAMPLE * (2 * step) ** 2:
        step *= 2
    features, clusters, valid = cache.read(Window(0, 0, *cache.shape), step)
    quantiser = cache.quantiser
    return Scene(features[valid], clusters[valid], quantiser.centroids, quantiser.projection)


def classify(
    cache: FeatureCache, classifier: Classifier, window: Window, step: int = 1, smooth: int = 1
) -> IntArray:
    """Return the class number of every ``step``-th pixel; NO_CLASS without data.

    Args:
        cache: features of the scene.
        classifier: fitted to strokes.
        window: on the scene, from a multiple of ``step``.
        step: a power of two.
        smooth: side in pixels of the squares that smooth the map along edges of the image
            (`clusternet.learning.smoothing`); 1 gives each pixel its own class. Squares of fewer
            than four steps do nothing, unless ``step`` is 1.
    """
    guide = cache.quantiser.guide
    radius = smoothing_radius(smooth, step, follows_edges=guide is not None)
    if not radius:
        return _classify(cache, classifier, window, step)
    few = GRID * step
    wide = window.grown(border(radius, few)).aligned(few).inside(cache.shape)
    features, clusters, valid = cache.read(wide, step)
    coarse = classify_coarsely(classifier, features, clusters, valid, guide, GRID)
    rows, cols = (window.row - wide.row) // step, (window.col - wide.col) // step
    # windows may begin between two pixels that are classified
    first = rows // GRID * GRID, cols // GRID * GRID
    height, width = _size(window, step)
    inside = Window(*first, rows - first[0] + height, cols - first[1] + width)
    smoothed = smooth_classes(coarse, classifier.numbers, radius, inside)
    return smoothed[rows - first[0] :, cols - first[1] :]


def _classify(cache: FeatureCache, classifier: Classifier, window: Window, step: int) -> IntArray:
    result = np.full(_size(window, step), NO_CLASS, np.int32)
    for strip, features, clusters, valid in _strips(cache, window, step):
        classes = classifier.classify(features, clusters).reshape(valid.shape)
        result[strip] = np.where(valid, classes, NO_CLASS)
    return result


def confidence(
    cache: FeatureCache, classifier: Classifier, window: Window, step: int = 1
) -> FloatArray:
    """Return how certain the class of every ``step``-th pixel is, 0 to 1; NaN without data."""
    result = np.full(_size(window, step), np.nan, np.float32)
    for strip, features, clusters, valid in _strips(cache, window, step):
        certain = classifier.confidence(features, clusters).reshape(valid.shape)
        result[strip] = np.where(valid, certain, np.nan)
    return result


def _doubt_of(
    cache: FeatureCache, classifier: Classifier, window: Window, step: int, land_class: int
) -> FloatArray:
    """Return how uncertain it is whether pixels are of a class, 0 to 1; NaN without data."""
    result = np.full(_size(window, step), np.nan, np.float32)
    column = int(np.searchsorted(classifier.numbers, land_class))
    for strip, features, clusters, valid in _strips(cache, window, step):
        share = classifier.probabilities(features, clusters)[:, column].reshape(valid.shape)
        result[strip] = np.where(valid, 4 * share * (1 - share), np.nan)
    return result


def _size(window: Window, step: int) -> tuple[int, int]:
    return -(-window.height // step), -(-window.width // step)


def _strips(
    cache: FeatureCache, window: Window, step: int
) -> Iterator[tuple[slice, AnyArray, AnyArray, AnyArray]]:
    """Yield (rows of the result, flat features, flat clusters, valid) strip by strip."""
    features, clusters, valid = cache.read(window, step)
    for first in range(0, len(valid), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        if valid[rows].any():
            flat = features[rows].reshape(-1, features.shape[-1])
            yield rows, flat, clusters[rows].ravel(), valid[rows]


def quick_step(cache: FeatureCache) -> int:
    """Return the step at which the whole scene is at most some 1,100,000 pixels."""
    step = 1
    while cache.shape[0] * cache.shape[1] > _QUICK_PIXELS * step**2:
        step *= 2
    return step


def count_pixels(
    cache: FeatureCache,
    classifier: Classifier,
    step: int = 1,
    smooth: int = 1,
    stop: Callable[[], bool] = lambda: False,
) -> dict[int, int]:
    """Return the pixels of each class over the scene; with a step, estimated from a sample.

    ``stop`` is asked before each window; True ends the count, which then lacks the others.
    """
    counts: dict[int, int] = {}
    for window in blocks(cache.shape, (WINDOW * step, WINDOW * step)):
        if stop():
            break
        add_counts(counts, classify(cache, classifier, window, step, smooth), step**2)
    return counts


def add_counts(counts: dict[int, int], classes: IntArray, weight: int = 1) -> None:
    """Add the pixels of a window to the counts of each class."""
    numbers, sizes = np.unique(classes[classes != NO_CLASS], return_counts=True)
    for number, size in zip(numbers.tolist(), sizes.tolist(), strict=True):
        counts[number] = counts.get(number, 0) + size * weight


def count_clusters(
    cache: FeatureCache, classifier: Classifier
) -> tuple[IntArray, NDArray[np.int64]]:
    """Count sampled pixels of the scene by cluster and class.

    Returns:
        (classes,) class numbers, and (clusters, classes) counts.
    """
    step = quick_step(cache)
    numbers = classifier.numbers if len(classifier.numbers) else np.zeros(0, np.int32)
    numbers = np.unique(numbers)
    counts = np.zeros((len(cache.quantiser.centroids), len(numbers)), np.int64)
    for _, features, clusters, valid in _strips(cache, Window(0, 0, *cache.shape), step):
        columns = np.searchsorted(numbers, classifier.classify(features, clusters))
        inside = valid.ravel()
        counts += contingency_table(clusters[inside], columns[inside], *counts.shape)
    return numbers.astype(np.int32), counts


def least_certain(
    cache: FeatureCache,
    classifier: Classifier,
    strokes: Sequence[Stroke],
    skip: Sequence[Window] = (),
    *,
    land_class: int | None = None,
) -> Window | None:
    """Return the region where a stroke would help most: the least certain one without strokes.

    Args:
        cache: features of the scene.
        classifier: fitted to the strokes.
        strokes: drawn so far; regions that they touch are left out.
        skip: regions suggested before.
        land_class: number of a class; then it is the region where it is least certain whether
            pixels are of this class.

    Returns:
        a square of a 32nd of the scene (64 pixels at least), None if nothing is left.
    """
    side = max(64, max(cache.shape) // 32 // 16 * 16)
    step = max(s for s in STEPS if s <= max(1, side // 16))
    scene = Window(0, 0, *cache.shape)
    certain = (
        confidence(cache, classifier, scene, step) if land_class is None
        else 1 - _doubt_of(cache, classifier, scene, step, land_class)
    )  # fmt: skip
    squares = [w for w in blocks(cache.shape, (side, side)) if w not in skip]
    best, doubt = None, -1.0
    for window in _untouched(squares, strokes):
        inside = certain[
            window.row // step : -(-(window.row + window.height) // step),
            window.col // step : -(-(window.col + window.width) // step),
        ]
        known = inside[~np.isnan(inside)]
        if known.size < inside.size / 2 or not known.size:
            continue
        value = float(1 - known.mean())
        if value > doubt:
            best, doubt = window, value
    return best


def _untouched(squares: Sequence[Window], strokes: Sequence[Stroke]) -> list[Window]:
    boxes = [shapely.box(w.col, w.row, w.col + w.width, w.row + w.height) for w in squares]
    lines = np.array([stroke.geometry for stroke in strokes], object)
    reach = [stroke.reach for stroke in strokes]
    touched = set(shapely.STRtree(boxes).query(lines, "dwithin", reach)[1].tolist())
    return [window for i, window in enumerate(squares) if i not in touched]
