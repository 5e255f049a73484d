"""Features of pixels as bytes, for the page, for feature maps and for classifiers.

The bytes 0 and 254 stand for the 0.5 and 99.5 percentiles in training, which are the same for
every scene of a run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clusternet.errors import RunError
from clusternet.prediction.guide import edge_axes
from clusternet.training.run import Run
from clusternet.types import AnyArray, FloatArray, IntArray, UInt8Array

LEVELS = 254
"""The highest byte of a feature or confidence; 255 is nodata in maps."""
_FAINT = 1e-6  # range of a feature up to which it does not vary
_AT_ONCE = 2**14  # pixels; in double precision their features take some megabytes


@dataclass(frozen=True)
class Quantiser:
    """Converts features to bytes: components of all features if there are any, then features."""

    kept: IntArray
    """Indexes, among all features of the network, of the features that are stored themselves."""
    low: FloatArray
    """(depth,) the value of byte 0; depth counts components and kept features."""
    step: FloatArray
    """(depth,) the difference between two bytes."""
    centroids: FloatArray
    """(clusters, depth) the run's centroids in units of bytes, not rounded."""
    projection: FloatArray | None = None
    """(depth, dimensions) from bytes to the space of K-Means, without the offset; None if the run
    clusters features without a projection."""
    guide: FloatArray | None = None
    """(depth, channels) from bytes to the guide image of the smoothing: the raster's bands, or
    three principal components of more than three bands; None if no features are bands."""
    axes: FloatArray | None = None
    """(all, components) from features to components; None without components."""

    @property
    def depth(self) -> int:
        """Bytes of a pixel."""
        return len(self.low)

    @classmethod
    def of_run(cls, run: Run) -> Quantiser:
        """Return the quantiser of every feature that varies; those that never do are left out.

        Raises:
            RunError: if none varies.
        """
        low, high = run.stored.feature_range
        kept = np.flatnonzero(high - low > _FAINT).astype(np.int32)
        if not len(kept):
            raise RunError(f"{run.folder}: its features never vary; train it again.")
        step = ((high - low) / LEVELS)[kept].astype(np.float32)
        book = run.stored.codebook
        scaled = (_features_of_centroids(run)[:, kept] - low[kept]) / step
        projection = None
        if book.has_projection:
            projection = np.asarray(step[:, None] * book.projection[kept], np.float32)
        guide = _guide(_bands_among(kept, run), scaled, run.stored.sizes)
        return cls(kept, low[kept], step, scaled.astype(np.float32), projection, guide)

    @classmethod
    def compact(cls, run: Run) -> Quantiser:
        """Return the quantiser of few numbers a pixel: leading components, and the bands.

        The bands are there for the edges that a map's smoothing follows. Runs whose features are
        not reduced store every feature, as `of_run`.

        Raises:
            RunError: if no feature varies.
        """
        components, stored = run.stored.components, run.stored
        every = cls.of_run(run)
        if components is None or every.projection is None:
            return every
        bands = _bands_among(every.kept, run)
        kept = every.kept[bands]
        low, high = components.range
        step = np.append(np.maximum(high - low, _FAINT) / LEVELS, every.step[bands])
        # axes take features as they are, so the offset goes into the value of byte 0
        moved = stored.codebook.offset.astype(np.float64) @ components.axes
        start = np.append(low + moved, every.low[bands])
        centroids = _features_of_centroids(run)
        values = np.hstack([centroids @ components.axes, centroids[:, kept]])
        scaled = (values - start) / step
        projection = np.zeros((len(step), components.count), np.float32)
        np.fill_diagonal(projection, step)
        guide = _guide(np.arange(components.count, len(step)), scaled, stored.sizes)
        return cls(
            kept, start.astype(np.float32), step.astype(np.float32), scaled.astype(np.float32),
            projection, guide, components.axes,
        )  # fmt: skip

    @property
    def names(self) -> list[str]:
        """(depth,) what each byte stands for; features are counted from 1."""
        count = 0 if self.axes is None else self.axes.shape[1]
        return [
            *(f"component {number}" for number in range(1, count + 1)),
            *(f"feature {number}" for number in self.kept + 1),
        ]

    def quantise(self, features: FloatArray) -> UInt8Array:
        """Return features (..., all) as bytes (..., depth)."""
        pixels = features.reshape(-1, features.shape[-1])
        stored = np.empty((len(pixels), self.depth), np.uint8)
        for first in range(0, len(pixels), _AT_ONCE):
            few = slice(first, first + _AT_ONCE)
            steps = (self._values(pixels[few]) - self.low) * (1 / self.step)
            stored[few] = np.rint(steps, out=steps).clip(0, LEVELS)
        return stored.reshape(*features.shape[:-1], self.depth)

    def _values(self, features: FloatArray) -> AnyArray:
        if self.axes is None:
            return features[..., self.kept]
        # In double precision, or the last bit of a sum, and so a byte, could differ with the
        # number of pixels and threads.
        components = features.astype(np.float64) @ self.axes.astype(np.float64)
        return np.concatenate([components, features[..., self.kept]], axis=-1)


def _features_of_centroids(run: Run) -> AnyArray:
    """Return the features that centroids, which lie in the space of K-Means, stand for.

    Output shape:
        (clusters, all)
    """
    book = run.stored.codebook
    return book.centroids @ np.linalg.pinv(book.projection) + book.offset


def _bands_among(kept: IntArray, run: Run) -> AnyArray:
    """Return the positions, among kept features, of those that are the raster's bands."""
    if not run.settings.fixed_filters:
        return np.empty(0, np.intp)
    first = run.settings.num_features  # the fixed filters come next, and the bands before them
    return np.flatnonzero((kept >= first) & (kept < first + run.bands.num_bands))


def _guide(bands: AnyArray, centroids: AnyArray, sizes: IntArray) -> FloatArray | None:
    """Return the projection of bytes to the guide image; (depth, channels), None without bands.

    Args:
        bands: positions of the bands among the bytes.
        centroids: (clusters, depth); their covariance stands for that of all pixels.
        sizes: (clusters,) number of pixels of each cluster.
    """
    if not len(bands):
        return None
    spread = np.cov(centroids[:, bands].T, fweights=np.maximum(sizes, 1))
    axes = edge_axes(np.atleast_2d(spread))
    guide = np.zeros((centroids.shape[1], axes.shape[1]), np.float32)
    guide[bands] = axes
    return guide
