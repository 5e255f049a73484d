"""Classes of whole rasters, window by window, for maps on disk."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from clusternet.learning.classifiers import Classifier
from clusternet.learning.mapping import classify, confidence
from clusternet.learning.smoothing import (
    GRID,
    CoarseProbabilities,
    border,
    classify_coarsely,
    smooth_classes,
    smoothing_radius,
)
from clusternet.prediction.feature_cache import WINDOW, FeatureCache
from clusternet.prediction.quantiser import Quantiser
from clusternet.processes.prefetch import prefetch
from clusternet.raster import Raster
from clusternet.types import NO_CLASS, FloatArray, IntArray, UInt8Array
from clusternet.windows import Shape, Window, blocks

if TYPE_CHECKING:
    from clusternet.prediction.predictor import Prediction, Predictor

Windows = Iterable[tuple[Window, IntArray]]
Certainties = Iterable[tuple[Window, FloatArray]]
_WORKERS = 2  # threads that compute windows; a third writes


def cached_windows(
    cache: FeatureCache, classifier: Classifier, smooth: int = 1
) -> Iterator[tuple[Window, IntArray]]:
    """Yield the classes of a scene whose features are cached, window by window."""

    def one(window: Window) -> tuple[Window, IntArray]:
        return window, classify(cache, classifier, window, smooth=smooth)

    yield from prefetch(one, blocks(cache.shape, (WINDOW, WINDOW)), workers=_WORKERS)


def cached_certainty(
    cache: FeatureCache, classifier: Classifier
) -> Iterator[tuple[Window, FloatArray]]:
    """Yield how certain the classes of a scene are, 0 to 1, NaN without data, window by window."""

    def one(window: Window) -> tuple[Window, FloatArray]:
        return window, confidence(cache, classifier, window)

    yield from prefetch(one, blocks(cache.shape, (WINDOW, WINDOW)), workers=_WORKERS)


def streamed_certainty(
    predictor: Predictor, raster: Raster, quantiser: Quantiser, classifier: Classifier
) -> Generator[tuple[Window, FloatArray], None, None]:
    """Yield the same of another scene of the run; see `streamed_windows`."""
    with closing(predictor.windows(raster, features=True)) as predictions:
        for predicted in predictions:
            certain = np.full(predicted.window.shape, np.nan, np.float32)
            valid = predicted.valid
            if valid.any():
                stored = _stored(predicted, quantiser)[valid]
                certain[valid] = classifier.confidence(stored, predicted.labels[valid])
            yield predicted.window, certain


def streamed_windows(
    predictor: Predictor,
    raster: Raster,
    quantiser: Quantiser,
    classifier: Classifier,
    smooth: int = 1,
) -> Generator[tuple[Window, IntArray], None, None]:
    """Yield the classes of another scene of the same run downwards; nothing is kept on disk.

    A thread reads ahead: close the generator before the raster.

    Args:
        predictor: of the run.
        raster: the scene.
        quantiser: of the run.
        classifier: fitted to strokes.
        smooth: see `clusternet.learning.mapping.classify`.
    """
    radius = smoothing_radius(smooth, 1, follows_edges=quantiser.guide is not None)
    with closing(predictor.windows(raster, features=True)) as predictions:
        pairs = ((predicted, _stored(predicted, quantiser)) for predicted in predictions)
        if radius:
            windows = (
                (
                    predicted.window,
                    classify_coarsely(
                        classifier, stored, predicted.labels, predicted.valid, quantiser.guide, GRID
                    ),
                )
                for predicted, stored in pairs
            )
            yield from smoothed_strips(windows, raster.profile.shape, classifier.numbers, radius)
            return
        for predicted, stored in pairs:
            classes = np.full(predicted.window.shape, NO_CLASS, np.int32)
            valid = predicted.valid
            if valid.any():
                classes[valid] = classifier.classify(stored[valid], predicted.labels[valid])
            yield predicted.window, classes


def _stored(predicted: Prediction, quantiser: Quantiser) -> UInt8Array:
    """Return features as bytes, 0 where there are no data; (rows, cols, depth)."""
    if predicted.features is None:
        return np.zeros((*predicted.window.shape, quantiser.depth), np.uint8)
    return quantiser.quantise(
        np.where(predicted.valid[..., None], predicted.features, np.float32(0))
    )


def smoothed_strips(
    windows: Iterable[tuple[Window, CoarseProbabilities]],
    shape: Shape,
    numbers: IntArray,
    radius: int,
) -> Iterator[tuple[Window, IntArray]]:
    """Smooth coarse probabilities that cover a raster without overlap, row by row.

    Args:
        windows: windows that begin at multiples of the factor, each with its probabilities.
        shape: of the raster.
        numbers: the class number of each share.
        radius: see `smooth_classes`.

    Yields:
        strips across the raster, downwards. A row of windows is held at a time.
    """
    top = done = 0  # first row in memory, first row still to be yielded
    held: CoarseProbabilities | None = None
    for _, group in groupby(windows, key=lambda pair: pair[0].row):
        row = CoarseProbabilities.join([coarse for _, coarse in group], axis=1)
        held = row if held is None else CoarseProbabilities.join([held, row], axis=0)
        del row
        margin, factor = border(radius, held.factor), held.factor
        below = top + len(held.valid)
        ready = below if below == shape[0] else max((below - margin) // factor * factor, done)
        if ready > done:
            classes = np.empty((ready - done, shape[1]), np.int32)
            for block in blocks((below - top, shape[1]), (below - top, WINDOW)):
                # a block of columns at a time bounds memory
                wide = block.grown(margin).aligned(factor).inside(held.valid.shape)
                wanted = Window(done - top, block.col - wide.col, ready - done, block.width)
                classes[:, block.slices()[1]] = smooth_classes(
                    held.cropped(*wide.slices()), numbers, radius, wanted
                )
            yield Window(done, 0, ready - done, shape[1]), classes
        kept = max(top, (ready - margin) // factor * factor)
        rest = held.cropped(slice(kept - top, below - top), slice(0, shape[1]))
        held = CoarseProbabilities.join([rest], axis=0)  # a copy, which frees the row of windows
        del rest
        top, done = kept, ready
