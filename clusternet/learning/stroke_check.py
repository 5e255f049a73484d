"""How good the map of some strokes is: strokes are held back, and what the others say is compared.

Strokes that the user marked as a check never take part in a fit; the map is compared with them.
Without such strokes each stroke is held back once (spatial cross-validation). Either way no pixel
is judged by a stroke that lies beside it, as neighbouring pixels are nearly equal: see
`clusternet.learning.spatial_blocks`. Pixels are compared as they are classified, before the map is
smoothed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from clusternet.labels.strokes import Stroke, sample_pixels
from clusternet.learning.choice import FOLDS, blocks_of_classes, folds_of
from clusternet.learning.classifiers import Samples, Scene
from clusternet.learning.mapping import IN_ALL, PER_STROKE, strokes_on
from clusternet.learning.rules import fit_rule
from clusternet.learning.samples import LabelledPixels
from clusternet.learning.spatial_blocks import CELL, GAP, find_blocks
from clusternet.legend.land_classes import LandClass
from clusternet.metrics import Counts, Scores, confusion_matrix
from clusternet.prediction.feature_cache import FeatureCache
from clusternet.raster import RasterProfile
from clusternet.types import BoolArray, IntArray
from clusternet.windows import Shape

LEAST_PLACES = 2
"""Places at which a class must have strokes: one is held back, the other one is learned from."""
_SEED = 1


@dataclass(frozen=True, eq=False)
class StrokeCheck:
    """Pixels under strokes by the class that was drawn and the class that the others give them."""

    numbers: IntArray
    """(classes,) the classes with strokes."""
    confusion: Counts
    """(classes, classes) pixels that were judged, by drawn class and found class."""
    places: IntArray
    """(classes,) places with strokes of each: groups of strokes that lie apart from the others."""
    num_held_back: int
    """Strokes that are marked as a check; 0 if each stroke was held back once."""

    @property
    def scores(self) -> Scores:
        """Accuracy, and precision and recall of each class."""
        return Scores.from_confusion(self.confusion)

    @property
    def judged(self) -> BoolArray:
        """(classes,) False for classes of which no pixel could be held back."""
        return np.asarray(self.confusion.sum(axis=1) > 0)

    @property
    def weakest(self) -> int | None:
        """The class that more strokes would help most; None without strokes of two classes."""
        if len(self.numbers) < 2:
            return None
        if not self.judged.all():
            return int(self.numbers[np.argmin(np.where(self.judged, np.inf, self.places))])
        return int(self.numbers[np.nanargmin(self.scores.dice)])

    def summary(self, classes: Mapping[int, LandClass]) -> str:
        """Return one line: the accuracy, how it was found, and the weakest class."""
        weakest = "" if self.weakest is None else classes[self.weakest].name
        if not self.confusion.sum():
            lacking = f"draw '{weakest}' at another place, too" if weakest else "draw two classes"
            return f"accuracy: not known yet, {lacking}"
        held = "each stroke held back once"
        if self.num_held_back:
            held = f"{self.num_held_back} stroke(s) held back as a check"
        return (
            f"accuracy: {self.scores.accuracy:.2f} of the pixels, {held} "
            f"({int(self.places.sum())} places, before smoothing); weakest: '{weakest}'"
        )


def check_strokes(
    cache: FeatureCache,
    profile: RasterProfile,
    strokes: Sequence[Stroke],
    rule: str,
    scene: Scene,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> StrokeCheck | None:
    """Compare strokes with what strokes elsewhere make of their pixels.

    Args:
        cache: features of the scene.
        profile: the grid of the scene.
        strokes: in the order in which they were drawn; those that are a check are held back.
        rule: name of the rule that makes the map.
        scene: an even sample of the scene.
        stop: asked before each fit; True ends the comparison.

    Returns:
        None if it was ended.
    """
    strokes = strokes_on(cache, strokes)
    learned = [stroke for stroke in strokes if not stroke.is_check]
    checks = [stroke for stroke in strokes if stroke.is_check]
    blocks = find_blocks([(profile, _cells(strokes, cache.shape))])[0]
    pixels = _pixels(cache, learned, blocks, scene)
    held_back = _pixels(cache, checks, blocks, scene)
    numbers, places = blocks_of_classes(_joined(pixels, held_back))
    apart = ~np.isin(held_back.blocks, [GAP, *np.unique(pixels.blocks)])
    parts = [(pixels, held_back.subset(apart))] if checks else _folds(pixels)
    confusion = np.zeros((len(numbers), len(numbers)), np.int64)
    for known, unknown in parts:
        if stop():
            return None
        confusion += _confusion(known, unknown, rule, numbers)
    return StrokeCheck(numbers, confusion, places, len(checks))


def _confusion(
    known: LabelledPixels, unknown: LabelledPixels, rule: str, numbers: IntArray
) -> Counts:
    """Return the table of pixels that are held back, as classified by a fit to the others."""
    drawn = unknown.samples.classes
    # a class that is held back as a whole cannot be found
    judged = np.isin(drawn, np.unique(known.samples.classes))
    if not judged.any():
        return np.zeros((len(numbers), len(numbers)), np.int64)
    classifier = fit_rule(rule, known.samples, known.scene)
    found = classifier.classify(unknown.samples.features[judged], unknown.samples.clusters[judged])
    truth, predicted = np.searchsorted(numbers, drawn[judged]), np.searchsorted(numbers, found)
    return confusion_matrix(truth, predicted, len(numbers))


def _folds(pixels: LabelledPixels) -> Iterator[tuple[LabelledPixels, LabelledPixels]]:
    """Yield what is learned from and what is held back, so that each place is held back once.

    A class that was drawn at one place is always learned from.
    """
    numbers, places = blocks_of_classes(pixels)
    count = min(FOLDS, len(np.unique(pixels.blocks[pixels.blocks != GAP])))
    if len(numbers) < 2 or count < LEAST_PLACES:
        return
    only_here = np.isin(pixels.samples.classes, numbers[places < LEAST_PLACES])
    for known, unknown in folds_of(pixels, count, _SEED):
        yield pixels.subset(known | only_here), pixels.subset(unknown & ~only_here)


def _pixels(
    cache: FeatureCache, strokes: Sequence[Stroke], blocks: IntArray, scene: Scene
) -> LabelledPixels:
    """Return the pixels of strokes that a fit takes, and the block of each."""
    positions, classes = sample_pixels(strokes, cache.shape, PER_STROKE, IN_ALL)
    features, clusters, valid = cache.at(positions)
    rows, cols = (positions[valid] // CELL).T
    owner = blocks[rows, cols]
    samples = Samples(features[valid], clusters[valid], classes[valid], len(strokes))
    return LabelledPixels(samples, owner, np.ones(len(owner), np.float32), scene)


def _joined(first: LabelledPixels, second: LabelledPixels) -> LabelledPixels:
    a, b = first.samples, second.samples
    samples = Samples(
        np.concatenate([a.features, b.features]), np.concatenate([a.clusters, b.clusters]),
        np.concatenate([a.classes, b.classes]), a.num_strokes + b.num_strokes,
    )  # fmt: skip
    return LabelledPixels(
        samples, np.concatenate([first.blocks, second.blocks]),
        np.concatenate([first.weights, second.weights]), first.scene,
    )  # fmt: skip


def _cells(strokes: Sequence[Stroke], shape: Shape) -> BoolArray:
    """Return the cells that strokes touch; (rows, cols) of cells."""
    cells = np.zeros((-(-shape[0] // CELL), -(-shape[1] // CELL)), bool)
    for stroke in strokes:
        cells[tuple(_cells_of(stroke, shape).T)] = True
    return cells


# more than a page takes: each change asks for all strokes again, of which only one is new
@lru_cache(maxsize=10_000)
def _cells_of(stroke: Stroke, shape: Shape) -> IntArray:
    return np.unique(stroke.pixels(shape) // CELL, axis=0).astype(np.int32)
