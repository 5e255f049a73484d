"""Labelled pixels of the rasters of a run, to which methods are fitted."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clusternet.errors import LabelError
from clusternet.labels.reading import Labels, open_labels_onto
from clusternet.labels.rules import LabelRules
from clusternet.learning.classifiers import Samples, Scene
from clusternet.learning.spatial_blocks import CELL, GAP, cells_of, find_blocks
from clusternet.legend.inventory import LabelInventory
from clusternet.prediction.feature_cache import WINDOW
from clusternet.prediction.quantiser import Quantiser
from clusternet.processes.progress import Progress
from clusternet.raster import RasterProfile, open_raster
from clusternet.types import AnyArray, BoolArray, FloatArray, IntArray, UInt8Array
from clusternet.windows import Blocks, Window, blocks

if TYPE_CHECKING:
    from clusternet.prediction.predictor import Prediction, Predictor

logger = logging.getLogger(__name__)

PER_BLOCK = 300
"""Most pixels that are drawn of a class in one block and window."""
PER_CLASS = 4000
"""Most pixels that are drawn of a class in all."""
_SCENE_SAMPLE = 20_000
_LEAST_WINDOWS = 12
"""Least number of windows whose features are computed, so that the sample shows the rasters."""


@dataclass(frozen=True)
class LabelledPixels:
    """Pixels with labels, and where they lie."""

    samples: Samples
    """Features as stored, clusters and classes."""
    blocks: IntArray
    """(samples,) spatial block of each, `GAP` between blocks."""
    weights: FloatArray
    """(samples,) labelled pixels that each stands for."""
    scene: Scene
    """An even sample of the rasters, labelled or not."""

    def subset(self, chosen: BoolArray) -> LabelledPixels:
        """Return the chosen pixels; (samples,) bool."""
        samples = self.samples
        few = Samples(
            samples.features[chosen], samples.clusters[chosen], samples.classes[chosen],
            _count_blocks(self.blocks[chosen]),
        )  # fmt: skip
        return LabelledPixels(few, self.blocks[chosen], self.weights[chosen], self.scene)

    def thinned(self, most: int, seed: int) -> LabelledPixels:
        """Return ``most`` pixels of each class, each of which stands for more pixels."""
        chosen, worth = _few_of_each(self.samples.classes, most, np.random.default_rng(seed))
        mask = np.zeros(len(self.blocks), bool)
        mask[chosen] = True
        few = self.subset(mask)
        return replace(few, weights=few.weights * worth)


@dataclass
class _Source:
    """A raster, and its labels if it has any."""

    raster: Path
    labels: Path | None
    profile: RasterProfile
    cells: BoolArray
    """(rows, cols) of cells that hold labels."""
    wanted: set[tuple[int, int]] = field(default_factory=set)
    """First row and column of each window whose features are computed."""

    def windows(self) -> Blocks:
        """Return the windows that the predictor computes at once."""
        return blocks(self.profile.shape, (WINDOW, WINDOW))

    def has_labels(self, window: Window) -> bool:
        """Tell whether a window has labels."""
        return bool(self.cells[_cells(window)].any())


def _cells(window: Window) -> tuple[slice, slice]:
    rows, cols = window.slices()
    return slice(rows.start // CELL, -(-rows.stop // CELL)), slice(
        cols.start // CELL, -(-cols.stop // CELL)
    )


def draw_labelled(
    predictor: Predictor,
    pairs: Sequence[tuple[Path, Path | None]],
    rules: LabelRules,
    *,
    seed: int = 1,
) -> LabelledPixels:
    """Draw labelled pixels of rasters and compute their features, window by window.

    Args:
        predictor: of the run, with windows of 512 pixels.
        pairs: rasters, and the label file of each or None.
        rules: how labels are read (`clusternet.labels.files.settle_labels`).
        seed: fixes the draw.

    Raises:
        LabelError: if no pixel with data has a label.
        GridMismatchError: if labels cannot be laid over their raster.
        RunError: if a raster does not fit the run.
    """
    rules = replace(rules, inventory=LabelInventory())
    rng = np.random.default_rng(seed)
    sources = [_source(raster, labels, predictor, rules) for raster, labels in pairs]
    _choose_windows(sources, rng)
    numbers = find_blocks([(source.profile, source.cells) for source in sources])
    draw = _Draw(Quantiser.of_run(predictor.run), rng, sum(len(s.wanted) for s in sources))
    with Progress(total=draw.num_windows, desc="features of labels", unit="window") as bar:
        for source, block_of_cell in zip(sources, numbers, strict=True):
            for predicted, labels in _predicted(source, predictor, rules):
                draw.add(predicted, labels, block_of_cell[_cells(predicted.window)])
                bar.update()
    return draw.finish(pairs[0][0])


def _source(raster: Path, labels: Path | None, predictor: Predictor, rules: LabelRules) -> _Source:
    """Read which cells of a raster hold labels."""
    with open_raster(raster, predictor.choice) as opened:
        profile = opened.profile
    predictor.run.check_fits(profile)
    shape = (-(-profile.shape[0] // CELL), -(-profile.shape[1] // CELL))
    source = _Source(raster, labels, profile, np.zeros(shape, bool))
    if labels is not None:
        with open_labels_onto(labels, profile, rules) as opened_labels:
            for window in source.windows() if opened_labels.overlaps else ():
                source.cells[_cells(window)] = cells_of(opened_labels.read(window)[1])
    return source


def _choose_windows(sources: Sequence[_Source], rng: np.random.Generator) -> None:
    """Choose the windows with labels, and random others up to `_LEAST_WINDOWS`."""
    others = []
    for source in sources:
        for window in source.windows():
            if source.has_labels(window):
                source.wanted.add((window.row, window.col))
            else:
                others.append((source, window))
    missing = max(0, _LEAST_WINDOWS - sum(len(source.wanted) for source in sources))
    for index in rng.permutation(len(others))[:missing]:
        source, window = others[index]
        source.wanted.add((window.row, window.col))


def _predicted(
    source: _Source, predictor: Predictor, rules: LabelRules
) -> Iterator[tuple[Prediction, tuple[IntArray, BoolArray] | None]]:
    """Yield the wanted windows of a raster, and the labels of each."""
    if not source.wanted:
        return

    def is_wanted(window: Window) -> bool:
        return (window.row, window.col) in source.wanted

    with (
        open_raster(source.raster, predictor.choice) as raster,
        closing(predictor.windows(raster, features=True, only=is_wanted)) as windows,
    ):
        if source.labels is None or not source.cells.any():
            yield from ((predicted, None) for predicted in windows)
            return
        with open_labels_onto(source.labels, source.profile, rules) as labels:
            for predicted in windows:
                yield predicted, _read(labels, predicted.window, source)


def _read(labels: Labels, window: Window, source: _Source) -> tuple[IntArray, BoolArray] | None:
    return labels.read(window) if source.has_labels(window) else None


def draw_pixels(
    features: UInt8Array,
    clusters: IntArray,
    classes: IntArray,
    owner: IntArray,
    scene: Scene,
    seed: int = 1,
) -> LabelledPixels:
    """Draw at most `PER_BLOCK` and `PER_CLASS` of labelled pixels whose features are known.

    Args:
        features: (pixels, depth) as stored.
        clusters: (pixels,).
        classes: (pixels,) class numbers.
        owner: (pixels,) spatial block of each (`find_blocks`).
        scene: an even sample of the rasters.
        seed: fixes the draw.
    """
    rng = np.random.default_rng(seed)
    chosen, weights = _few_of_each(_pairs(classes, owner), PER_BLOCK, rng)
    few, more = _few_of_each(classes[chosen], PER_CLASS, rng)
    chosen, weights = chosen[few], weights[few] * more
    samples = Samples(
        features[chosen], clusters[chosen], classes[chosen].astype(np.int32),
        _count_blocks(owner[chosen]),
    )  # fmt: skip
    return LabelledPixels(samples, owner[chosen], weights.astype(np.float32), scene)


def _pairs(classes: IntArray, owner: IntArray) -> AnyArray:
    """Return one number for each pair of class and block; (pixels,)."""
    # `GAP` is -1
    return np.asarray(classes.astype(np.int64) * (int(owner.max(initial=0)) + 2) + owner + 1)


class _Draw:
    """Collects pixels, at most `PER_BLOCK` and `PER_CLASS` of a class."""

    def __init__(self, quantiser: Quantiser, rng: np.random.Generator, num_windows: int) -> None:
        self.num_windows = num_windows
        self._quantiser, self._rng = quantiser, rng
        pixels = max(_SCENE_SAMPLE // max(num_windows, 1), 1)
        self._step = max(1, int(np.ceil(WINDOW / pixels**0.5)))
        self._scene: list[tuple[AnyArray, ...]] = []
        self._drawn: list[tuple[AnyArray, ...]] = []

    def add(
        self,
        predicted: Prediction,
        labels: tuple[IntArray, BoolArray] | None,
        cell_blocks: IntArray,
    ) -> None:
        """Add a window: its prediction, its labels, and the block of each of its cells."""
        if predicted.features is None:
            return
        few = (slice(None, None, self._step),) * 2
        known = predicted.valid[few]
        self._scene.append(
            (self._quantiser.quantise(predicted.features[few][known]), predicted.labels[few][known])
        )
        if labels is None:
            return
        rows, cols = np.nonzero(labels[1] & predicted.valid)
        classes, owner = labels[0][rows, cols], cell_blocks[rows // CELL, cols // CELL]
        chosen, weights = _few_of_each(_pairs(classes, owner), PER_BLOCK, self._rng)
        rows, cols = rows[chosen], cols[chosen]
        self._drawn.append(
            (self._quantiser.quantise(predicted.features[rows, cols]), predicted.labels[rows, cols],
             classes[chosen], owner[chosen], weights)
        )  # fmt: skip

    def finish(self, named: Path) -> LabelledPixels:
        """Return what was drawn."""
        if not sum(len(each[0]) for each in self._drawn):
            raise LabelError(f"{named}: no pixel with data has a label.")
        features, clusters, classes, owner, weights = map(
            np.concatenate, zip(*self._drawn, strict=True)
        )
        chosen, more = _few_of_each(classes, PER_CLASS, self._rng)
        scene_features, scene_clusters = map(np.concatenate, zip(*self._scene, strict=True))
        quantiser = self._quantiser
        return LabelledPixels(
            Samples(features[chosen], clusters[chosen], classes[chosen],
                    _count_blocks(owner[chosen])),
            owner[chosen], (weights[chosen] * more).astype(np.float32),
            Scene(scene_features, scene_clusters, quantiser.centroids, quantiser.projection),
        )  # fmt: skip


def _few_of_each(
    keys: AnyArray, most: int, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Draw at most so many of the pixels that have the same key.

    Args:
        keys: (pixels,) whole numbers.
        most: of those with an equal key.
        rng: of the draw.

    Returns:
        indexes of what was drawn, ascending, and how many pixels each of them stands for.
    """
    groups = np.unique(keys, return_inverse=True)[1]
    order = rng.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    counts = np.bincount(groups)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.sort(order[rank < most])
    worth = counts / np.minimum(counts, most)
    return chosen.astype(np.int32), worth[groups[chosen]].astype(np.float32)


def _count_blocks(numbers: IntArray) -> int:
    return len(np.unique(numbers[numbers != GAP]))
