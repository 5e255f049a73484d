"""Class maps smoothed along the edges of the image: the guided filter (He, Sun and Tang 2013).

In the square around a pixel the share of a class is fitted as a linear function of the bands
by least squares. The share of a pixel is the mean over all squares that hold it. So single pixels
follow their surroundings, and classes end where the image has an edge. The fit uses every second
pixel and is evaluated at all of them (fast guided filter, He and Sun 2015). So only a quarter of
the pixels is classified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from clusternet.learning.classifiers import Classifier
from clusternet.types import NO_CLASS, AnyArray, BoolArray, FloatArray, IntArray, UInt8Array
from clusternet.windows import Shape, Window

GRID = 2
"""Every ``GRID``-th pixel of a map, in rows and columns, is classified before smoothing."""
_FAINT = 5.0  # levels of a byte; its square is the epsilon of the guided filter


@dataclass(frozen=True)
class CoarseProbabilities:
    """Class probabilities of every ``factor``-th pixel of a window, and what smooths them."""

    shares: FloatArray
    """(classes, rows / factor, cols / factor) probability of each class, 0 where it is not known;
    the first pixel of each ``factor`` x ``factor`` stands for all."""
    known: BoolArray
    """(rows / factor, cols / factor)"""
    guide: FloatArray
    """(channels, rows, cols) the bands whose edges count, in levels of a byte; perhaps none."""
    own: IntArray
    """(rows, cols) class number of valid pixels whose coarse pixel is not known."""
    valid: BoolArray
    """(rows, cols) where there are data."""
    factor: int

    def cropped(self, rows: slice, cols: slice) -> CoarseProbabilities:
        """Return the crop of a window; slices start at multiples of the factor."""
        few = tuple(
            slice(each.start // self.factor, -(-each.stop // self.factor)) for each in (rows, cols)
        )
        return CoarseProbabilities(
            self.shares[:, *few], self.known[few], self.guide[:, rows, cols],
            self.own[rows, cols], self.valid[rows, cols], self.factor,
        )  # fmt: skip

    @staticmethod
    def join(windows: list[CoarseProbabilities], axis: int) -> CoarseProbabilities:
        """Join windows below (axis 0) or beside (axis 1) each other."""

        def joined(name: str) -> AnyArray:
            return np.concatenate([getattr(window, name) for window in windows], axis=axis - 2)

        return CoarseProbabilities(
            joined("shares"), joined("known"), joined("guide"), joined("own"), joined("valid"),
            windows[0].factor,
        )  # fmt: skip


def classify_coarsely(
    classifier: Classifier,
    features: UInt8Array,
    clusters: IntArray,
    valid: BoolArray,
    guide: FloatArray | None,
    factor: int,
) -> CoarseProbabilities:
    """Return the class probabilities of every ``factor``-th pixel of a window.

    Valid pixels whose coarse pixel has no data are classified by themselves.

    Args:
        classifier: fitted to strokes.
        features: (rows, cols, depth) as stored.
        clusters: (rows, cols).
        valid: (rows, cols).
        guide: see `clusternet.prediction.quantiser.Quantiser.guide`.
        factor: every ``factor``-th row and column is classified.
    """
    few = slice(None, None, factor)
    known = valid[few, few]
    shares = np.zeros((len(classifier.numbers), *known.shape), np.float32)
    own = np.full(valid.shape, NO_CLASS, np.int32)
    if known.all():
        flat = features[few, few].reshape(known.size, -1)
        flat_shares = classifier.probabilities(flat, clusters[few, few].ravel())
        shares[:] = flat_shares.T.reshape(shares.shape)
        return CoarseProbabilities(shares, known, _channels(features, guide), own, valid, factor)
    if known.any():
        inside = clusters[few, few][known]
        shares[:, known] = classifier.probabilities(features[few, few][known], inside).T
    near = known.repeat(factor, axis=0).repeat(factor, axis=1)
    isolated = valid & ~near[: valid.shape[0], : valid.shape[1]]
    if isolated.any():
        own[isolated] = classifier.classify(features[isolated], clusters[isolated])
    return CoarseProbabilities(shares, known, _channels(features, guide), own, valid, factor)


def _channels(features: UInt8Array, guide: FloatArray | None) -> FloatArray:
    """Project stored features; (rows, cols, depth) -> (channels, rows, cols)."""
    if guide is None:
        return np.zeros((0, *features.shape[:2]), np.float32)
    used = np.flatnonzero(guide.any(axis=1))
    # one copy of the used bands, because each band alone is strided in memory
    bands = np.take(features, used, axis=2)
    channels = np.zeros((guide.shape[1], *features.shape[:2]), np.float32)
    for weights, band in zip(guide[used], np.moveaxis(bands, 2, 0), strict=True):
        for channel in np.flatnonzero(weights):
            channels[channel] += weights[channel] * band
    return channels


def smooth_classes(
    coarse: CoarseProbabilities, numbers: IntArray, radius: int, inside: Window | None = None
) -> IntArray:
    """Return the class number of every pixel; (rows, cols), NO_CLASS without data.

    Args:
        coarse: of a window. Its outer `border` pixels are smoothed wrongly, except at the edge
            of the scene.
        numbers: (classes,) the class number of each share.
        radius: of the squares, in pixels that are classified.
        inside: the window of the result, from multiples of the factor; None for all.
    """
    inside = inside or Window(0, 0, *coarse.valid.shape)
    crop, factor, shape = inside.slices(), coarse.factor, inside.shape
    lines, is_near = _fit(coarse, radius)
    few = tuple(slice(each.start // factor, -(-each.stop // factor) + 1) for each in crop)
    guide = coarse.guide[:, *crop]
    best = np.full(shape, -np.inf, np.float32)
    classes = np.full(shape, NO_CLASS, np.int32)
    rest = np.ones(shape, np.float32)
    if not is_near.all():  # near pixels without data the scores sum to less than 1
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
        classes = np.where(near[: shape[0], : shape[1]], classes, coarse.own[crop])
    if not coarse.valid.all():
        classes[~coarse.valid[crop]] = NO_CLASS
    return classes


def smoothing_radius(smooth: int, step: int, *, follows_edges: bool) -> int:
    """Return the radius of the squares in pixels that are classified; 0 for none.

    Without bands it is half, because means over squares then blur every border.

    Args:
        smooth: side of the squares in pixels.
        step: the map shows every ``step``-th pixel.
        follows_edges: whether there are bands.
    """
    reach = smooth // 2 if follows_edges else smooth // 4
    return max(reach // (GRID * step), 1 if smooth > 1 and step == 1 else 0)


def border(radius: int, factor: int) -> int:
    """Return the distance, in pixels, within which other pixels influence the class of a pixel."""
    return (2 * radius + 1) * factor


def _fit(coarse: CoarseProbabilities, radius: int) -> tuple[FloatArray, BoolArray]:
    """Fit shares to the guide in every square, and average over the squares that hold a pixel.

    With covariances C of the channels and c of channels and share, slopes are c / (C + e) and
    the offset is what makes the means agree (He, Sun and Tang 2013, equations 14 and 15).

    Returns:
        offset and slopes (classes but the last, 1 + channels, rows, cols), and where any square
        holds a known pixel (rows, cols).
    """
    few = slice(None, None, coarse.factor)
    guide, shares = np.ascontiguousarray(coarse.guide[:, few, few]), coarse.shares[:-1]
    mean, is_near = _squares(coarse.known, radius)
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
    """Return a function that averages known pixels over squares, and where a square holds any."""
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
    """Solve a small positive definite system in every pixel by elimination; overwrites both.

    `numpy.linalg.solve` calls LAPACK once a pixel, which takes over ten times as long.

    Args:
        matrix: (n, n, rows, cols).
        right: (n, m, rows, cols).
    """
    size = len(matrix)
    # no pivoting: a positive definite matrix keeps its pivots positive
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

    The running sums are of float64, which holds the sums of a row of float32 almost exactly. So
    a pixel has the same class in every window, wherever the sums begin.
    """
    from scipy import ndimage

    side = 2 * radius + 1
    return np.asarray(ndimage.uniform_filter(values, side, mode="constant", axes=(-2, -1)))


def _enlarge(values: FloatArray, factor: int, shape: Shape) -> FloatArray:
    """Interpolate between every ``factor``-th pixel; (planes, few rows, few cols) -> ``shape``.

    Pixels beyond the last sample take its value. `scipy.ndimage.zoom` takes over ten times as long.
    """
    for axis, size in ((2, shape[1]), (1, shape[0])):
        count = -(-size // factor)
        end = values.take([-1], axis=axis)
        values = np.concatenate([values, end], axis=axis) if values.shape[axis] == count else values
        here, after = (values[:, :, i : i + count] if axis == 2 else values[:, i : i + count]
                       for i in (0, 1))  # fmt: skip
        wide = np.empty((*here.shape[:axis], count, factor, *here.shape[axis + 1 :]), np.float32)
        for step in range(factor):
            share = np.float32(step / factor)
            index = (slice(None),) * (axis + 1) + (step,)
            wide[index] = here + share * (after - here) if step else here
        flat = wide.reshape(*here.shape[:axis], count * factor, *here.shape[axis + 1 :])
        values = flat[:, :, :size] if axis == 2 else flat[:, :size]
    return values
