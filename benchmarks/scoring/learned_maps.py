"""Class maps that are learned from the labels of blocks, smoothed along edges of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from clusternet.classes.batch import LazyPredictor, full_cache
from clusternet.learning.choice import choose
from clusternet.learning.classifiers import Classifier, ForestClassifier
from clusternet.learning.classifiers import Scene as SceneSample
from clusternet.learning.mapping import DEFAULT_SMOOTH, classify, sample_scene
from clusternet.learning.methods import ViewClassifier, methods_for, views_of
from clusternet.learning.samples import LabelledPixels, draw_pixels
from clusternet.learning.spatial_blocks import CELL, cells_of, find_blocks
from clusternet.metrics import Scores, confusion_matrix
from clusternet.prediction.feature_cache import FeatureCache
from clusternet.raster import RasterProfile, open_raster
from clusternet.training.run import Run, load_run
from clusternet.types import BoolArray, IntArray
from clusternet.windows import Window
from scoring.clusters import Labels, make_forest, summarise
from scoring.scenes import Scene

_SCENE_SAMPLE = 20_000

Fit = Callable[["LearnedMaps", LabelledPixels, int], Classifier]
"""(maps, labelled pixels, seed) -> classifier."""


@dataclass(frozen=True)
class LearnedMaps:
    """The features of scenes by one run."""

    run: Run
    caches: Sequence[FeatureCache]
    profiles: Sequence[RasterProfile]

    @classmethod
    def open(cls, run_folder: Path, scenes: Sequence[Scene], folder: Path) -> LearnedMaps:
        """Compute the features of scenes, or find those that were computed before."""
        run, predictor = load_run(run_folder), LazyPredictor(run_folder)
        # all features are stored: methods are compared on groups of them
        run = replace(run, stored=replace(run.stored, components=None))
        caches, profiles = [], []
        for scene in tqdm(scenes, desc="features", disable=None, leave=False):
            caches.append(full_cache(run, scene.image, predictor, folder))
            with open_raster(scene.image) as raster:
                profiles.append(raster.profile)
        return cls(run, caches, profiles)

    def subset(self, chosen: Sequence[int]) -> LearnedMaps:
        """Return some of the scenes."""
        return LearnedMaps(
            self.run, [self.caches[i] for i in chosen], [self.profiles[i] for i in chosen]
        )

    @cached_property
    def sample(self) -> SceneSample:
        """An even sample of all scenes."""
        parts = [sample_scene(cache) for cache in self.caches]
        features = np.concatenate([part.features for part in parts])
        clusters = np.concatenate([part.clusters for part in parts])
        few = slice(None, None, max(1, len(features) // _SCENE_SAMPLE))
        return SceneSample(features[few], clusters[few], parts[0].centroids, parts[0].projection)

    def labelled(self, labels: Labels, known: BoolArray, seed: int) -> LabelledPixels:
        """Return the labelled pixels of the known blocks; (blocks,) bool."""
        cells, places = [], []
        for profile, truth, numbers in zip(self.profiles, labels.truth, labels.blocks, strict=True):
            positions = np.argwhere((truth >= 0) & known[numbers]) * labels.step
            labelled = np.zeros(profile.shape, bool)
            labelled[tuple(positions.T)] = True
            cells.append((profile, cells_of(labelled)))
            places.append(positions)
        drawn: list[tuple[Any, ...]] = []
        for cache, truth, positions, owner in zip(
            self.caches, labels.truth, places, find_blocks(cells), strict=True
        ):
            features, clusters, valid = cache.at(positions)
            classes = truth[tuple(positions.T // labels.step)]
            numbers = owner[tuple(positions.T // CELL)]
            drawn.append(tuple(each[valid] for each in (features, clusters, classes, numbers)))
        features, clusters, classes, numbers = map(np.concatenate, zip(*drawn, strict=True))
        return draw_pixels(features, clusters, classes, numbers, self.sample, seed)

    def score(self, labels: Labels, fraction: float, draws: BoolArray, fit: Fit) -> dict[str, Any]:
        """Fit to the known blocks of each draw, and score the smoothed maps on the others.

        Args:
            labels: of these scenes.
            fraction: shown with the progress.
            draws: (draws, blocks) which blocks are known.
            fit: makes the classifier.
        """
        scores = []
        for seed, known in enumerate(tqdm(draws, desc=f"{fraction:.0%}", disable=None)):
            classifier = fit(self, self.labelled(labels, known, seed), seed)
            confusion = np.zeros((labels.num_classes, labels.num_classes), np.int64)
            for cache, truth, blocks in zip(self.caches, labels.truth, labels.blocks, strict=True):
                used = (truth >= 0) & ~known[blocks]
                if used.any():
                    found = _class_map(cache, classifier, labels.step)
                    confusion += confusion_matrix(
                        truth, found, labels.num_classes, used & (found >= 0)
                    )
            scores.append(Scores.from_confusion(confusion))
        return summarise(scores)


def _class_map(cache: FeatureCache, classifier: Classifier, step: int) -> IntArray:
    whole = Window(0, 0, *cache.shape)
    return classify(cache, classifier, whole, smooth=DEFAULT_SMOOTH)[::step, ::step]


def fit_auto(maps: LearnedMaps, pixels: LabelledPixels, seed: int) -> Classifier:
    """Choose a method as `tools/clusters2classes.py` does, and say which."""
    choice = choose(methods_for(maps.run, pixels.scene, clusters=True), pixels, seed=seed + 1)
    score = "not compared" if choice.score is None else f"{choice.score.mean_iou:.3f}"
    tqdm.write(f"auto: {choice.method.name} ({score}) from blocks {choice.blocks.tolist()}")
    return choice.method.fit(pixels)


def fit_forest(maps: LearnedMaps, pixels: LabelledPixels, seed: int) -> Classifier:
    """Fit the forest of the row ``forest``, on the filters of the run as they are stored."""
    columns = views_of(maps.run, maps.caches[0].quantiser)["filters"]
    samples = pixels.samples
    # the weights make classes as common as they are in the blocks
    forest = make_forest(seed).fit(samples.features[:, columns], samples.classes, pixels.weights)
    return ViewClassifier(columns, ForestClassifier(np.asarray(forest.classes_, np.int32), forest))


FITS: dict[str, Fit] = {"forest_smoothed": fit_forest, "auto": fit_auto}
"""How the classes of each row are learned."""
