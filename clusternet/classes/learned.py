"""Class maps by the method that suits the labels best, on the features of the rasters."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from clusternet.classes.export import write_class_map
from clusternet.classes.naming import Rule
from clusternet.labels.rules import LabelRules
from clusternet.learning.choice import Choice, choose
from clusternet.learning.classifiers import Classifier
from clusternet.learning.mapping import DEFAULT_SMOOTH
from clusternet.learning.methods import methods_for
from clusternet.learning.samples import draw_labelled
from clusternet.learning.streaming import Windows, streamed_windows
from clusternet.legend.land_classes import LandClass
from clusternet.legend.legend import Legend, LegendRow
from clusternet.metrics import Counts, contingency_table
from clusternet.prediction.cluster_maps import ClusterMap, read_clusters
from clusternet.prediction.feature_cache import WINDOW, Quantiser
from clusternet.prediction.predictor import Predictor, load
from clusternet.raster import Raster, open_raster
from clusternet.types import NO_CLASS, IntArray
from clusternet.windows import Window


class LearningOptions(Protocol):
    """What learning from labels can be told."""

    @property
    def rule(self) -> Rule | None:
        """``classifier`` names no clusters."""

    @property
    def seed(self) -> int:
        """Fixes the pixels that are drawn, and the folds."""


@dataclass(frozen=True)
class Learned:
    """A method that was chosen, fitted to all labels."""

    choice: Choice
    classifier: Classifier
    predictor: Predictor
    rasters: tuple[Path, ...]
    """The raster of each cluster map."""

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
                open_raster(raster_path, self.predictor.run.bands.nodata_choice) as raster,
                open_raster(cluster_map.path, codes=True) as clusters,
                closing(self._windows(raster)) as windows,
            ):
                counted = _counted(windows, clusters, counts, numbers)
                write_class_map(
                    target, cluster_map.profile, counted, classes,
                    self.predictor.run.stored.identity, overwrite=overwrite,
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
) -> Learned:
    """Choose a method and fit it to all labels.

    Args:
        run: run folder.
        rasters: of the run.
        labels: the label file of each, None for rasters without.
        rules: how labels are read.
        options: which methods are compared, and the seed of what is drawn.
    """
    predictor = load(run, window_size=WINDOW)
    pairs = list(zip(rasters, labels, strict=True))
    pixels = draw_labelled(predictor, pairs, rules, seed=options.seed)
    methods = methods_for(predictor.run, pixels.scene, clusters=options.rule != "classifier")
    choice = choose(methods, pixels, seed=options.seed)
    return Learned(choice, choice.method.fit(pixels), predictor, rasters)


def _counted(
    windows: Windows, clusters: Raster, counts: Counts, numbers: IntArray
) -> Iterator[tuple[Window, IntArray]]:
    """Pass windows of classes on, and count the pixels of each cluster and class."""
    for window, classes in windows:
        found, mapped = read_clusters(clusters, window)
        mapped &= (classes != NO_CLASS) & (found < len(counts))
        columns = np.searchsorted(numbers, classes[mapped])
        counts += contingency_table(found[mapped], columns, *counts.shape)
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
