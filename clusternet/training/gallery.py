"""A gallery of clusters: typical and borderline pixels of each, and their mean spectra."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from clusternet.clustering.kmeans import Codebook
from clusternet.clustering.sampling import SamplePlan
from clusternet.patches.batches import BatchLoader
from clusternet.processes.progress import Progress
from clusternet.raster.band_identity import shown_bands
from clusternet.types import AnyArray, BoolArray, FloatArray, IntArray, UInt8Array
from clusternet.windows import Window, centre

PER_CLUSTER = 6
"""Typical pixels that are shown of each cluster, and as many borderline ones."""
SIDE = 48
"""Rows and columns of the picture around a pixel."""

_CANDIDATES = 3 * PER_CLUSTER  # pixels of a cluster whose surroundings are cut out
_MOST_PICTURED = 256  # clusters with pictures: the largest, so that memory and page stay small
_NEAREST = 3
_AT_ONCE = 2**14  # samples whose distances to all centroids are held at a time
_SPREAD = 2.0  # standard deviations that are shown on either side of the mean of a band
_MARK = 4  # pixels from a marked pixel to the box around it


@dataclass(frozen=True, eq=False)  # arrays have no single answer
class Crop:
    """What surrounds a pixel."""

    picture: UInt8Array
    """RGB (SIDE, SIDE, 3); smaller for smaller patches. A box marks the pixel."""
    patch: int
    """Index of its patch."""
    place: tuple[int, int]
    """(row, col) of the pixel in the patch."""
    other: int
    """The second nearest cluster."""


@dataclass(frozen=True)
class Card:
    """What the gallery shows of a cluster."""

    number: int
    share: float
    """Of the sampled pixels."""
    spectrum: tuple[float, ...]
    """Mean of each band, in the units of the raster; NaN for an empty cluster."""
    nearest: tuple[int, ...]
    """The clusters whose centroids are nearest."""
    typical: Sequence[Crop]
    """Pixels near the centroid."""
    borderline: Sequence[Crop]
    """Pixels about as near to another centroid."""


@dataclass
class _Picks:
    """Candidates of all clusters: sample index -> (cluster, is borderline, rank)."""

    places: dict[int, list[tuple[int, bool, int]]] = field(default_factory=dict)

    def add(self, cluster: int, borderline: bool, samples: Sequence[int]) -> None:
        for rank, sample in enumerate(samples):
            self.places.setdefault(sample, []).append((cluster, borderline, rank))


def make_gallery(
    loader: BatchLoader, plan: SamplePlan, features: FloatArray, codebook: Codebook, sizes: IntArray
) -> list[Card]:
    """Return a card for each cluster.

    The patches that were sampled are read once more. Memory is bounded by the number of clusters.

    Args:
        loader: of the patches.
        plan: the pixels that are sampled.
        features: (samples, depth) of these pixels.
        codebook: of the clusters.
        sizes: (clusters,) sampled pixels of each cluster.
    """
    nearest, second, closeness, margin = _distances(features, codebook)
    patches = np.repeat(plan.patches, list(plan.quotas.values()))
    pictured = np.argsort(-sizes, kind="stable")[:_MOST_PICTURED]
    picks = _Picks()
    for cluster in pictured.tolist():
        members = np.flatnonzero(nearest == cluster)
        for borderline, order in ((False, closeness), (True, margin)):
            ranked = members[np.argsort(order[members], kind="stable")]
            picks.add(cluster, borderline, _spread(ranked, patches))
    sums = np.zeros((codebook.num_clusters, loader.patches.num_bands))
    crops: dict[tuple[int, bool], dict[int, Crop]] = {}
    for start, here in _visit(loader, plan):
        sampled = nearest[start : start + len(here.positions)]
        np.add.at(sums, sampled, here.values())
        for index in range(len(sampled)):
            for cluster, borderline, rank in picks.places.get(start + index, ()):
                crop = here.crop(index, int(second[start + index]))
                crops.setdefault((cluster, borderline), {})[rank] = crop
    counts = np.bincount(nearest, minlength=codebook.num_clusters)
    with np.errstate(invalid="ignore"):
        means = sums / counts[:, None] * loader.bands.std + loader.bands.mean
    beside = _neighbours(codebook)
    return [
        Card(
            cluster,
            float(sizes[cluster] / max(int(sizes.sum()), 1)),
            tuple(means[cluster].tolist()),
            beside[cluster],
            _apart(crops.get((cluster, False), {})),
            _apart(crops.get((cluster, True), {})),
        )
        for cluster in range(codebook.num_clusters)
    ]


def _distances(
    features: FloatArray, codebook: Codebook
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Return nearest and second nearest cluster, distance, and relative margin; (samples,) each."""
    centroids = codebook.centroids.astype(np.float64)
    squares = (centroids**2).sum(axis=1)
    count = len(features)
    nearest, second = np.zeros(count, np.int32), np.zeros(count, np.int32)
    closeness, margin = np.zeros(count, np.float32), np.ones(count, np.float32)
    for start in range(0, count, _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        points = codebook.transform(features[rows]).astype(np.float64)
        apart = squares - 2 * points @ centroids.T + (points**2).sum(axis=1)[:, None]
        apart = np.sqrt(np.maximum(apart, 0))
        here = np.arange(len(points))
        nearest[rows] = apart.argmin(axis=1)
        closeness[rows] = first = apart[here, nearest[rows]]
        if len(centroids) > 1:
            apart[here, nearest[rows]] = np.inf
            second[rows] = apart.argmin(axis=1)
            next_best = apart[here, second[rows]]
            margin[rows] = (next_best - first) / np.maximum(next_best + first, 1e-12)
    return nearest, second, closeness, margin


def _spread(ranked: AnyArray, patches: AnyArray) -> list[int]:
    """Return the first candidates, those of other patches first."""
    ranked = ranked[: 50 * _CANDIDATES]
    _, firsts = np.unique(patches[ranked], return_index=True)
    of_own_patch = np.zeros(len(ranked), bool)
    of_own_patch[firsts] = True
    ordered = np.concatenate([ranked[of_own_patch], ranked[~of_own_patch]])
    chosen: list[int] = ordered[:_CANDIDATES].tolist()
    return chosen


@dataclass(frozen=True)
class _Patch:
    """A patch in the visit: its pixels, and which of them are sampled."""

    index: int
    pixels: FloatArray
    """(rows, cols, bands), standardised."""
    positions: IntArray
    """(samples, 2) row and column in the patch."""
    bands: tuple[int, ...]
    """Those shown as red, green and blue."""

    def values(self) -> FloatArray:
        """Return the sampled pixels; (samples, bands)."""
        sampled: FloatArray = self.pixels[self.positions[:, 0], self.positions[:, 1]]
        return sampled

    def crop(self, sample: int, other: int) -> Crop:
        """Cut out what surrounds a sampled pixel."""
        row, col = self.positions[sample].tolist()
        rows, cols = self.pixels.shape[:2]
        top = max(0, min(row - SIDE // 2, rows - SIDE))
        left = max(0, min(col - SIDE // 2, cols - SIDE))
        shown = self.pixels[top : top + SIDE, left : left + SIDE][..., list(self.bands)]
        picture = np.clip((shown / _SPREAD + 1) * 127.5, 0, 255).astype(np.uint8)
        _mark(picture, row - top, col - left)
        return Crop(picture, self.index, (row, col), other)


def _visit(loader: BatchLoader, plan: SamplePlan) -> Iterator[tuple[int, _Patch]]:
    """Yield each sampled patch, and the number of samples before it."""
    bands = shown_bands(loader.bands.identity, loader.patches.num_bands)
    middle = centre(Window(0, 0, *loader.patches.shape), loader.labelled_shape)
    done = 0
    with Progress(total=len(plan.quotas), desc="report", unit="patch", leave=False) as bar:
        for batch in loader.batches(plan.patches):
            for row, patch in enumerate(batch.indexes.tolist()):
                valid: BoolArray = batch.valid[row]
                positions = np.stack(
                    np.unravel_index(plan.positions(patch, valid), valid.shape), axis=1
                ).astype(np.int32)
                positions += np.array([middle.row, middle.col], np.int32)
                yield done, _Patch(patch, batch.pixels[row], positions, bands)
                done += len(positions)
            bar.update(len(batch.indexes))


def _mark(picture: UInt8Array, row: int, col: int) -> None:
    """Draw a box around a pixel, white within black."""
    rows, cols = picture.shape[:2]
    for reach, colour in ((_MARK + 1, 0), (_MARK, 255)):
        top, bottom = row - reach, row + reach
        left, right = col - reach, col + reach
        for line in (top, bottom):
            if 0 <= line < rows:
                picture[line, max(left, 0) : right + 1] = colour
        for line in (left, right):
            if 0 <= line < cols:
                picture[max(top, 0) : bottom + 1, line] = colour


def _apart(candidates: dict[int, Crop]) -> list[Crop]:
    """Return the first crops that show other places, filled up with the next ones."""
    ranked = [candidates[rank] for rank in sorted(candidates)]
    chosen: list[Crop] = []
    for crop in ranked:
        near = (
            other.patch == crop.patch
            and max(abs(a - b) for a, b in zip(other.place, crop.place, strict=True)) < SIDE // 2
            for other in chosen
        )
        if not any(near):
            chosen.append(crop)
    rest = [crop for crop in ranked if crop not in chosen] if len(chosen) < PER_CLUSTER else []
    return [*chosen, *rest][:PER_CLUSTER]


def _neighbours(codebook: Codebook) -> list[tuple[int, ...]]:
    """Return the clusters nearest to each, by the distance of their centroids."""
    centroids = codebook.centroids.astype(np.float64)
    squares = (centroids**2).sum(axis=1)
    beside = []
    for number, centroid in enumerate(centroids):
        apart = squares - 2 * centroids @ centroid
        apart[number] = np.inf
        order = np.argsort(apart, kind="stable")[: min(_NEAREST, len(centroids) - 1)]
        beside.append(tuple(order.tolist()))
    return beside
