"""Class maps smoothed along the edges of the image: the guided filter (He, Sun and Tang 2013).

In the square around a pixel the share of a class is taken for a linear function of the bands,
fitted by least squares; what all squares that hold a pixel say of it is averaged. So single
pixels follow their surroundings, and classes end where the image has an edge. It is fitted to
every second pixel and read off at all of them (the fast guided filter, He and Sun 2015), so that
only a quarter of the pixels has to be classified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from clusternet.learning.classifiers import Classifier
from clusternet.types import NO_CLASS, AnyArray, BoolArray, FloatArray, IntArray, UInt8Array
from clusternet.windows import Shape, Window

GRID = 2
"""Every how many pixels of a map are classified before all of them are smoothed."""
_FAINT = 5.0  # levels of a byte: what bands differ by less than this is hardly an edge


@dataclass(frozen=True)
class Sketch:
    """What is known of a window before it is smoothed."""

    shares: FloatArray
    """(classes, rows / factor, cols / factor) how likely each class is, 0 where nothing is known;
    the first pixel of each ``factor`` x ``factor`` stands for all."""
    known: BoolArray
    """(rows / factor, cols / factor)"""
    guide: FloatArray
    """(channels, rows, cols) the bands whose edges count, in levels of a byte; perhaps none."""
    own: IntArray
    """(rows, cols) class number of pixels with data whose neighbourhood may have none known."""
    valid: BoolArray
    """(rows, cols) where there are data."""
    factor: int

    def part(self, rows: slice, cols: slice) -> Sketch:
        """Return a part; slices start at multiples of the factor."""
        few = tuple(
            slice(each.start // self.factor, -(-each.stop // self.factor)) for each in (rows, cols)
        )
        return Sketch(
            self.shares[:, *few], self.known[few], self.guide[:, rows, cols],
            self.own[rows, cols], self.valid[rows, cols], self.factor,
        )  # fmt: skip

    @staticmethod
    def join(parts: list[Sketch], axis: int) -> Sketch:
        """Put sketches below (axis 0) or beside (axis 1) each other."""

        def joined(name: str) -> AnyArray:
            return np.concatenate([getattr(part, name) for part in parts], axis=axis - 2)

        return Sketch(
            joined("shares"), joined("known"), joined("guide"), joined("own"), joined("valid"),
            parts[0].factor,
        )  # fmt: skip


def draw_sketch(
    classifier: Classifier,
    features: UInt8Array,
    clusters: IntArray,
    valid: BoolArray,
    guide: FloatArray | None,
    factor: int,
) -> Sketch:
    """Classify what smoothing has to know of a window.

    Args:
        classifier: fitted to strokes.
        features: (rows, cols, depth) as stored.
        clusters: (rows, cols).
        valid: (rows, cols).
        guide: see `clusternet.prediction.feature_cache.Quantiser.guide`.
        factor: every how many pixels to classify.
    """
    few = slice(None, None, factor)
    known = valid[few, few]
    shares = np.zeros((len(classifier.numbers), *known.shape), np.float32)
    own = np.full(valid.shape, NO_CLASS, np.int32)
    if known.all():
        flat = features[few, few].reshape(known.size, -1)
        found = classifier.probabilities(flat, clusters[few, few].ravel())
        shares[:] = found.T.reshape(shares.shape)
        return Sketch(shares, known, _channels(features, guide), own, valid, factor)
    if known.any():
        inside = clusters[few, few][known]
        shares[:, known] = classifier.probabilities(features[few, few][known], inside).T
    near = known.repeat(factor, axis=0).repeat(factor, axis=1)
    lonely = valid & ~near[: valid.shape[0], : valid.shape[1]]
    if lonely.any():
        own[lonely] = classifier.classify(features[lonely], clusters[lonely])
    return Sketch(shares, known, _channels(features, guide), own, valid, factor)


def _channels(features: UInt8Array, guide: FloatArray | None) -> FloatArray:
    """Project stored features; (rows, cols, depth) -> (channels, rows, cols)."""
    if guide is None:
        return np.zeros((0, *features.shape[:2]), np.float32)
    used = np.flatnonzero(guide.any(axis=1))
    bands = np.take(features, used, axis=2)  # one pass over what is spread out in memory
    channels = np.zeros((guide.shape[1], *features.shape[:2]), np.float32)
    for weights, band in zip(guide[used], np.moveaxis(bands, 2, 0), strict=True):
        for channel in np.flatnonzero(weights):
            channels[channel] += weights[channel] * band
    return channels


def smooth_classes(
    sketch: Sketch, numbers: IntArray, radius: int, inside: Window | None = None
) -> IntArray:
    """Return the class number of every pixel; (rows, cols), NO_CLASS without data.

    Args:
        sketch: of a window; its outer `border` pixels are smoothed wrongly, but where the scene
            ends.
        numbers: (classes,) the class number of each share.
        radius: of the squares, in pixels that are classified.
        inside: the part of the sketch that is wanted, from multiples of its factor; None for all.
    """
    inside = inside or Window(0, 0, *sketch.valid.shape)
    place, factor, shape = inside.slices(), sketch.factor, inside.shape
    lines, is_near = _fit(sketch, radius)
    few = tuple(slice(each.start // factor, -(-each.stop // factor) + 1) for each in place)
    guide = sketch.guide[:, *place]
    best = np.full(shape, -np.inf, np.float32)
    classes = np.full(shape, NO_CLASS, np.int32)
    rest = np.ones(shape, np.float32)
    if not is_near.all():  # beside what nothing is known of all scores are smaller
        rest = _enlarge(is_near[None, *few].astype(np.float32), factor, shape)[0]
    for index, number in enumerate(numbers.tolist()):
        score = rest  # shares are 1 in sum
        if index < len(lines):
            score, *slopes = _enlarge(lines[index][:, *few], factor, shape)
            for slope, channel in zip(slopes, guide, strict=True):
                slope *= channel
                score += slope
            rest -= score
        np.copyto(classes, number, where=score > best)
        np.maximum(best, score, out=best)
    if not is_near.all():
        near = is_near[few].repeat(factor, axis=0).repeat(factor, axis=1)
        classes = np.where(near[: shape[0], : shape[1]], classes, sketch.own[place])
    if not sketch.valid.all():
        classes[~sketch.valid[place]] = NO_CLASS
    return classes


def smoothing_radius(smooth: int, step: int, *, follows_edges: bool) -> int:
    """Return the radius of the squares in pixels that are classified; 0 for none.

    Without bands to follow it is half: means of squares then reach across every border.

    Args:
        smooth: side of the squares in pixels.
        step: every how many pixels a map has one.
        follows_edges: whether there are bands.
    """
    reach = smooth // 2 if follows_edges else smooth // 4
    return max(reach // (GRID * step), 1 if smooth > 1 and step == 1 else 0)


def border(radius: int, factor: int) -> int:
    """Return how far a pixel's class depends on others, in pixels."""
    return (2 * radius + 1) * factor


def _fit(sketch: Sketch, radius: int) -> tuple[FloatArray, BoolArray]:
    """Fit shares by the guide in every square, and average over the squares that hold a pixel.

    With covariances C of the channels and c of channels and share, slopes are c / (C + e) and
    the offset is what makes the means agree (He, Sun and Tang 2013, equations 14 and 15).

    Returns:
        offset and slopes (classes but the last, 1 + channels, rows, cols), and where any square
        knows something (rows, cols).
    """
    few = slice(None, None, sketch.factor)
    guide, shares = np.ascontiguousarray(sketch.guide[:, few, few]), sketch.shares[:-1]
    mean, is_near = _squares(sketch.known, radius)
    guide_mean, share_mean = mean(guide), mean(shares)
    size = len(guide)
    spread = np.empty((size, size, *is_near.shape), np.float32)
    shared = np.empty((size, len(shares), *is_near.shape), np.float32)
    for i in range(size):
        spread[i, i:] = mean(guide[i] * guide[i:]) - guide_mean[i] * guide_mean[i:]
        spread[i:, i] = spread[i, i:]
        spread[i, i] += _FAINT**2
        shared[i] = mean(guide[i] * shares) - guide_mean[i] * share_mean
    lines = np.empty((len(shares), 1 + size, *is_near.shape), np.float32)
    lines[:, 1:] = _solve(spread, shared).swapaxes(0, 1)
    lines[:, 0] = share_mean
    for i in range(size):
        lines[:, 0] -= lines[:, 1 + i] * guide_mean[i]
    mean, is_near = _squares(is_near, radius)
    return np.stack([mean(each) for each in lines]) if len(lines) else lines, is_near


def _squares(known: BoolArray, radius: int) -> tuple[Callable[[FloatArray], FloatArray], BoolArray]:
    """Return what averages the known pixels of the square around each, and where there are any."""
    weight = known.astype(np.float32)
    count = _box(weight, radius)
    inverse = 1 / np.where(count > 0, count, 1)
    everywhere = bool(known.all())

    def mean(values: FloatArray) -> FloatArray:
        total = _box(values if everywhere else values * weight, radius)
        total *= inverse
        return total

    return mean, np.asarray(count > 0)


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve a small positive definite system in every pixel, in place, by elimination.

    `numpy.linalg.solve` calls LAPACK once a pixel, which takes over ten times as long.

    Args:
        matrix: (n, n, rows, cols).
        right: (n, m, rows, cols).
    """
    size = len(matrix)
    for i in range(size):
        for j in range(i + 1, size):
            ratio = matrix[j, i] / matrix[i, i]
            matrix[j, i:] -= ratio * matrix[i, i:]
            right[j] -= ratio * right[i]
    for i in reversed(range(size)):
        for j in range(i + 1, size):
            right[i] -= matrix[i, j] * right[j]
        right[i] /= matrix[i, i]
    return right


def _box(values: FloatArray, radius: int) -> FloatArray:
    """Sum the square around each pixel, over its size; (..., rows, cols), 0 beyond the border.

    The running sums are of float64, which holds those of a row of float32 as good as exactly. So
    a pixel has the same class in every window, wherever the sums begin.
    """
    side = 2 * radius + 1
    return np.asarray(ndimage.uniform_filter(values, side, mode="constant", axes=(-2, -1)))


def _enlarge(values: FloatArray, factor: int, shape: Shape) -> FloatArray:
    """Interpolate between every ``factor``-th pixel; (planes, few rows, few cols) -> ``shape``.

    Beyond the last there is what it says. `scipy.ndimage.zoom` takes over ten times as long.
    """
    for axis, size in ((2, shape[1]), (1, shape[0])):
        count = -(-size // factor)
        end = values.take([-1], axis=axis)
        values = np.concatenate([values, end], axis=axis) if values.shape[axis] == count else values
        here, after = (values[:, :, i : i + count] if axis == 2 else values[:, i : i + count]
                       for i in (0, 1))  # fmt: skip
        wide = np.empty((*here.shape[:axis], count, factor, *here.shape[axis + 1 :]), np.float32)
        for place in range(factor):
            share = np.float32(place / factor)
            index = (slice(None),) * (axis + 1) + (place,)
            wide[index] = here + share * (after - here) if place else here
        flat = wide.reshape(*here.shape[:axis], count * factor, *here.shape[axis + 1 :])
        values = flat[:, :, :size] if axis == 2 else flat[:, :size]
    return values
