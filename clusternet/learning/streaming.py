"""Classes of whole rasters, window by window, for maps on disk."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import groupby

import numpy as np

from clusternet.learning.classifiers import Classifier
from clusternet.learning.mapping import classify
from clusternet.learning.smoothing import (
    GRID,
    Sketch,
    border,
    draw_sketch,
    smooth_classes,
    smoothing_radius,
)
from clusternet.prediction.feature_cache import WINDOW, FeatureCache, Quantiser
from clusternet.prediction.predictor import Prediction, Predictor
from clusternet.processes.prefetch import prefetch
from clusternet.raster import Raster
from clusternet.types import NO_CLASS, IntArray, UInt8Array
from clusternet.windows import Shape, Window, blocks

Windows = Iterable[tuple[Window, IntArray]]
_WORKERS = 2  # threads that compute windows; a third writes


def cached_windows(
    cache: FeatureCache, classifier: Classifier, smooth: int = 1
) -> Iterator[tuple[Window, IntArray]]:
    """Yield the classes of a scene whose features are cached, window by window."""

    def one(window: Window) -> tuple[Window, IntArray]:
        return window, classify(cache, classifier, window, smooth=smooth)

    yield from prefetch(one, blocks(cache.shape, (WINDOW, WINDOW)), workers=_WORKERS)


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
        parts = ((part, _stored(part, quantiser)) for part in predictions)
        if radius:
            sketches = (
                (part.window,
                 draw_sketch(classifier, stored, part.labels, part.valid, quantiser.guide, GRID))
                for part, stored in parts
            )  # fmt: skip
            yield from smoothed_strips(sketches, raster.profile.shape, classifier.numbers, radius)
            return
        for part, stored in parts:
            classes = np.full(part.window.shape, NO_CLASS, np.int32)
            if part.valid.any():
                found = classifier.classify(stored[part.valid], part.labels[part.valid])
                classes[part.valid] = found
            yield part.window, classes


def _stored(part: Prediction, quantiser: Quantiser) -> UInt8Array:
    """Return features as bytes, 0 where there are no data; (rows, cols, depth)."""
    if part.features is None:
        return np.zeros((*part.window.shape, len(quantiser.kept)), np.uint8)
    return quantiser.quantise(np.where(part.valid[..., None], part.features, np.float32(0)))


def smoothed_strips(
    sketches: Iterable[tuple[Window, Sketch]], shape: Shape, numbers: IntArray, radius: int
) -> Iterator[tuple[Window, IntArray]]:
    """Smooth sketches that cover a raster without overlap, row by row.

    Args:
        sketches: of windows that begin at multiples of the sketches' factor.
        shape: of the raster.
        numbers: the class number of each share.
        radius: see `smooth_classes`.

    Yields:
        strips across the raster, downwards. A row of windows is held at a time.
    """
    top = done = 0  # first row that is held, first row that was not yielded yet
    held: Sketch | None = None
    for _, group in groupby(sketches, key=lambda pair: pair[0].row):
        row = Sketch.join([sketch for _, sketch in group], axis=1)
        held = row if held is None else Sketch.join([held, row], axis=0)
        del row
        margin, factor = border(radius, held.factor), held.factor
        below = top + len(held.valid)
        ready = below if below == shape[0] else max((below - margin) // factor * factor, done)
        if ready > done:
            found = np.empty((ready - done, shape[1]), np.int32)
            for part in blocks((below - top, shape[1]), (below - top, WINDOW)):
                # bounds what is computed at once
                wide = part.grown(margin).aligned(factor).inside(held.valid.shape)
                wanted = Window(done - top, part.col - wide.col, ready - done, part.width)
                found[:, part.slices()[1]] = smooth_classes(
                    held.part(*wide.slices()), numbers, radius, wanted
                )
            yield Window(done, 0, ready - done, shape[1]), found
        kept = max(top, (ready - margin) // factor * factor)
        rest = held.part(slice(kept - top, below - top), slice(0, shape[1]))
        held = Sketch.join([rest], axis=0)  # a copy: the whole row of windows can go
        del rest
        top, done = kept, ready
