"""Class maps by the method that suits the labels best, on the features of the rasters."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from clusternet.classes.export import write_class_map
from clusternet.classes.naming import Rule
from clusternet.labels.rules import LabelRules
from clusternet.learning.aims import Preference
from clusternet.learning.choice import LEAST_BLOCKS, Choice, choose
from clusternet.learning.classifiers import Classifier, OffsetClassifier
from clusternet.learning.mapping import DEFAULT_SMOOTH
from clusternet.learning.methods import methods_for
from clusternet.learning.preference import choose_offsets, hold_back
from clusternet.learning.samples import LabelledPixels, draw_labelled
from clusternet.learning.streaming import Windows, streamed_windows
from clusternet.legend.land_classes import LandClass
from clusternet.legend.legend import Legend, LegendRow
from clusternet.metrics import Counts, contingency_table
from clusternet.prediction.cluster_maps import ClusterMap, read_clusters
from clusternet.prediction.feature_cache import WINDOW
from clusternet.prediction.predictor import Predictor, load
from clusternet.prediction.quantiser import Quantiser
from clusternet.raster import Raster, open_raster
from clusternet.types import NO_CLASS, IntArray
from clusternet.windows import Window

logger = logging.getLogger(__name__)


class LearningOptions(Protocol):
    """The options of learning from labels."""

    @property
    def rule(self) -> Rule | None:
        """``classifier`` leaves out the method that names clusters."""

    @property
    def prefer(self) -> str | None:
        """What matters to the user, see `clusternet.learning.aims.Preference`."""

    @property
    def seed(self) -> int:
        """Seed of the draw of pixels and of the folds."""


@dataclass(frozen=True)
class Learned:
    """The chosen method, fitted to all labels."""

    choice: Choice
    classifier: Classifier
    predictor: Predictor
    rasters: tuple[Path, ...]
    """The raster of each cluster map."""
    labels: tuple[Path, ...]
    """The label files that the classifier was fitted to."""

    def write_maps(
        self,
        cluster_maps: Sequence[ClusterMap],
        targets: Sequence[Path],
        classes: Mapping[int, LandClass],
        named: Legend,
        *,
        overwrite: bool,
    ) -> Legend:
        """Write the class maps, and return what most pixels of each cluster became.

        Args:
            cluster_maps: the maps, on the grids of the rasters.
            targets: the class map of each.
            classes: by number.
            named: the legend by the majority of labels, for clusters that no pixel has.
            overwrite: replace class maps that exist.
        """
        numbers = np.array(sorted(classes), np.int32)
        num_clusters = max(row.cluster for row in named.rows) + 1
        counts = np.zeros((num_clusters, len(numbers)), np.int64)
        for cluster_map, raster_path, target in zip(
            cluster_maps, self.rasters, targets, strict=True
        ):
            with (
                open_raster(raster_path, self.predictor.choice) as raster,
                cluster_map.open() as clusters,
                closing(self._windows(raster)) as windows,
            ):
                counted = _counted(windows, clusters, counts, numbers)
                write_class_map(
                    target, cluster_map.profile, counted, classes,
                    self.predictor.run.stored.identity, labels=self.labels,
                    overwrite=overwrite,
                )  # fmt: skip
        return _legend(counts, numbers, classes, named)

    def _windows(self, raster: Raster) -> Generator[tuple[Window, IntArray], None, None]:
        quantiser = Quantiser.of_run(self.predictor.run)
        return streamed_windows(self.predictor, raster, quantiser, self.classifier, DEFAULT_SMOOTH)


def learn(
    run: Path,
    rasters: tuple[Path, ...],
    labels: Sequence[Path | None],
    rules: LabelRules,
    options: LearningOptions,
    class_numbers: Mapping[str, int],
    aoi: Path | None = None,
) -> Learned:
    """Choose a method and fit it to all labels.

    Args:
        run: run folder.
        rasters: of the run.
        labels: the label file of each, None for rasters without.
        rules: how labels are read.
        options: which methods are compared, what matters, and the seed of what is drawn.
        class_numbers: of the classes by their name.
        aoi: file of polygons; labels and pixels outside do not count.
    """
    preference = None if options.prefer is None else Preference.parse(options.prefer)
    wanted = [] if preference is None else preference.numbers(class_numbers)
    predictor = load(run, window_size=WINDOW, assign="codebook", aoi=aoi)
    pairs = list(zip(rasters, labels, strict=True))
    pixels = draw_labelled(predictor, pairs, rules, seed=options.seed)
    methods = methods_for(predictor.run, pixels.scene, clusters=options.rule != "classifier")
    choice = choose(methods, pixels, seed=options.seed)
    classifier = choice.method.fit(pixels)
    if preference is not None:
        names = {number: name for name, number in class_numbers.items() if number in wanted}
        classifier = _preferring(classifier, preference, names, choice, pixels, options.seed)
    used = tuple(path for path in labels if path is not None)
    return Learned(choice, classifier, predictor, rasters, used)


def _preferring(
    classifier: Classifier,
    preference: Preference,
    names: Mapping[int, str],
    choice: Choice,
    pixels: LabelledPixels,
    seed: int,
) -> Classifier:
    """Return the classifier with offsets on the classes that matter.

    Without enough labels to choose the offsets it is returned as it is.
    """
    held_back = hold_back(choice.method, pixels, seed)
    if held_back is None:
        logger.warning(
            "--prefer has no effect: a class has labels in fewer than %d blocks, too few to find "
            "out what %s takes; label more.", LEAST_BLOCKS, preference.aim,
        )  # fmt: skip
        return classifier
    offsets = choose_offsets(held_back, preference.aim, list(names))
    for number, name in names.items():
        column = int(np.searchsorted(held_back.numbers, number))
        before, after = (held_back.rates(each, column) for each in (0 * offsets, offsets))
        logger.info(
            "--prefer %s: '%s' on blocks held back has precision %.2f and recall %.2f, without it "
            "%.2f and %.2f.", preference.aim, name, *after, *before,
        )  # fmt: skip
    return OffsetClassifier(classifier, offsets)


def _counted(
    windows: Windows, clusters: Raster, counts: Counts, numbers: IntArray
) -> Iterator[tuple[Window, IntArray]]:
    """Yield the windows unchanged, and add their pixels to ``counts`` by cluster and class."""
    for window, classes in windows:
        cluster_numbers, mapped = read_clusters(clusters, window)
        mapped &= (classes != NO_CLASS) & (cluster_numbers < len(counts))
        columns = np.searchsorted(numbers, classes[mapped])
        counts += contingency_table(cluster_numbers[mapped], columns, *counts.shape)
        yield window, classes


def _legend(
    counts: Counts, numbers: IntArray, classes: Mapping[int, LandClass], named: Legend
) -> Legend:
    rows = []
    for row in named.rows:
        pixels = counts[row.cluster]
        if pixels.any():
            best, total = int(pixels.argmax()), int(pixels.sum())
            share = float(pixels[best] / total)
            row = LegendRow(row.cluster, classes[int(numbers[best])], total, share)
        rows.append(row)
    return replace(named, rows=tuple(rows))
