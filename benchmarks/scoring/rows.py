"""The rows of the tables: each method described, clustered or trained, and scored."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from clusternet.clustering.feature_transform import (
    Sides,
    fit_feature_transform,
    fit_scaled_transform,
)
from clusternet.clustering.kmeans import Codebook, cluster
from clusternet.clustering.sampling import REACH
from clusternet.errors import LabelError, SettingsError
from clusternet.evaluation.draws import draw_blocks
from clusternet.learning.mapping import DEFAULT_SMOOTH
from clusternet.metrics import majority_mapping
from clusternet.network.sizes import nearest_size, output_size
from clusternet.patches.bands import Bands
from clusternet.settings import TrainingSettings
from clusternet.training.run import load_run
from clusternet.types import FloatArray, IntArray
from clusternet.yaml_files import read_yaml
from scoring.backbones import (
    CLUSTERED,
    FORESTS,
    NEED_BACKBONE,
    TRAINED,
    backbone_codebook,
    backbone_describer,
    with_backbone,
)
from scoring.clusters import (
    BLOCK,
    SAMPLES_PER_CENTROID,
    Labels,
    assign,
    block_tables,
    sample_differences,
    sample_vectors,
    score_forest,
    score_majority,
    score_map,
    score_matching,
    score_nmi,
)
from scoring.describers import (
    Describer,
    bands_describer,
    filters_describer,
    measure_bands,
    network_describer,
    train_run,
)
from scoring.learned_maps import FITS, LearnedMaps
from scoring.report import Row
from scoring.scenes import Scene, gather_training_images
from scoring.strokes import (
    Canvas,
    Rule,
    forest_rule,
    interactive_rule,
    make_guide,
    simulate,
    strokes_until,
)
from scoring.supervised import labelled_corners, supervised_maps

ROOT = Path(__file__).resolve().parents[2]
FIXED = ("bands", "filters", "weighted")
LEARNED = ("random", "published", "untrained", "default")
METHODS = (
    *FIXED, "forest", "forest_smoothed", *LEARNED, "auto", "supervised", *NEED_BACKBONE,
)  # fmt: skip
FRACTIONS = (0.01, 0.1, 0.5)
NUM_CLUSTERS = 100
GOALS = (0.5, 0.6, 0.7)


@dataclass
class Benchmark:
    """The scenes, their truth, and the options that all methods share."""

    args: argparse.Namespace
    scenes: list[Scene]
    classes: list[str]
    maps: dict[str, dict[int, IntArray]] = field(default_factory=dict)
    """Method -> scene -> class map, for the pictures."""

    @cached_property
    def bands(self) -> Bands:
        """Statistics of the bands of the training scenes."""
        return measure_bands(self.scenes)

    @cached_property
    def labels(self) -> Labels:
        """The truth on every ``step``-th row and column."""
        step = self.args.step
        truth = [scene.truth(len(self.classes))[::step, ::step] for scene in self.scenes]
        return Labels.from_truth(truth, len(self.classes), step)

    @cached_property
    def images(self) -> Path:
        """The folder of images that training reads, and no masks."""
        return gather_training_images(self.scenes, self.work / "training_images")

    @property
    def work(self) -> Path:
        """Folder for patches and runs."""
        return Path(self.args.output_folder) / "work"

    @property
    def training(self) -> list[int]:
        """Indexes of the training scenes."""
        return [i for i, scene in enumerate(self.scenes) if not scene.held_out]

    @property
    def sets(self) -> dict[str, list[int]]:
        """The sets of scenes that are scored separately."""
        held_out = [i for i, scene in enumerate(self.scenes) if scene.held_out]
        return {"all": list(range(len(self.scenes)))} | ({"held out": held_out} if held_out else {})

    @property
    def shown(self) -> list[int]:
        """Indexes of a few scenes, evenly spread: for pictures and strokes."""
        count = min(self.args.shown, len(self.scenes))
        return np.linspace(0, len(self.scenes) - 1, count).round().astype(int).tolist()

    def check_labels(self) -> None:
        """Refuse scenes of which no part can be labelled and another scored.

        Raises:
            LabelError: if a set of scenes has fewer than two blocks with labels.
        """
        for name, chosen in self.sets.items():
            found = self.labels.subset(chosen).num_blocks
            if found < 2:
                raise LabelError(
                    f"{self.args.data}: scenes {name}: expected labels in two blocks of "
                    f"{BLOCK} x {BLOCK} pixels or more, found them in {found}."
                )

    def describe(self, describer: Describer) -> list[FloatArray]:
        """Return the vectors of every scene."""
        bar = tqdm(self.scenes, desc="describe", disable=None, leave=False)
        return [describer(scene, self.args.step) for scene in bar]


def score_clusters(
    bench: Benchmark, method: str, seed: int, vectors: list[FloatArray], many: Codebook
) -> list[Row]:
    """Score clusters of vectors, (a) to (c), for each set of scenes.

    Args:
        bench: the scenes.
        method: name of the rows.
        seed: of the rows.
        vectors: of every scene.
        many: the 100 clusters. As many clusters as classes are found in the same space.
    """
    few = cluster_again(bench, vectors, many, len(bench.classes), seed)
    maps = [assign(many, each) for each in vectors]
    coarse = [assign(few, each) for each in vectors]
    rows = []
    for name, chosen in bench.sets.items():
        labels = bench.labels.subset(chosen)
        tables = block_tables([maps[i] for i in chosen], labels, many.num_clusters)
        row: Row = {"method": method, "seed": seed, "scenes": name}
        for fraction in FRACTIONS:
            row |= _named(f"a {fraction:.0%}", score_majority(tables, fraction, bench.args.draws))
        pairs = block_tables([coarse[i] for i in chosen], labels, few.num_clusters)
        row |= _named("b", score_matching(pairs))
        rows.append(row | {"c nmi": score_nmi(tables)})
    tables = block_tables(maps, bench.labels, many.num_clusters)
    named = majority_mapping(tables.sum(axis=0))
    bench.maps.setdefault(
        method, {i: np.where(maps[i] < 0, -1, named[maps[i]]) for i in bench.shown}
    )
    return rows


def cluster_again(
    bench: Benchmark, vectors: list[FloatArray], like: Codebook, count: int, seed: int
) -> Codebook:
    """Compute another number of clusters in the feature space of a codebook."""
    samples = like.transform(_sample(bench, vectors, seed))
    centroids = cluster(samples, count, seed=seed).codebook.centroids
    return dataclasses.replace(like, centroids=centroids)


def prepare_canvases(bench: Benchmark, describer: Describer) -> list[Canvas]:
    """Return squares of a few scenes to draw strokes on; each has two classes or more."""
    canvases = []
    for scene in (bench.scenes[index] for index in bench.shown):
        truth = scene.truth(len(bench.classes))
        place = _busiest(truth, bench.args.stroke_side)
        if len(np.unique(truth[place][truth[place] >= 0])) > 1:
            guide = make_guide(*(array[place] for array in scene.pixels()))
            canvases.append(Canvas(describer(scene, 1)[place], truth[place], guide))
    return canvases


def score_strokes(canvases: Sequence[Canvas], rule: Rule, rounds: int, seed: int) -> Row:
    """Let the simulated user draw: score (d), plain and smoothed.

    Strokes that never reach the goal count as one round more than there were.
    """
    row: Row = {}
    for prefix, smooth in (("d", 1), ("d smoothed", DEFAULT_SMOOTH)):
        curves = [simulate(canvas, rule, rounds, seed, smooth) for canvas in canvases]
        for goal in GOALS if curves else ():
            counts = [
                strokes_until(curve, goal) or curve[-1][0] + canvas.num_classes
                for curve, canvas in zip(curves, canvases, strict=True)
            ]
            row[f"{prefix} strokes to {goal}"] = float(np.mean(counts))
        if curves:
            final = float(np.mean([curve[-1][1] for curve in curves]))
            row[f"{prefix} mean_iou after {rounds} rounds"] = final
    return row


def _busiest(truth: IntArray, side: int) -> tuple[slice, slice]:
    """Return the square of a scene with the most classes in the most even proportions."""
    best, place = -1.0, (slice(0, side), slice(0, side))
    for row in range(0, max(1, truth.shape[0] - side + 1), max(1, side // 2)):
        for col in range(0, max(1, truth.shape[1] - side + 1), max(1, side // 2)):
            part = truth[row : row + side, col : col + side]
            counts = np.bincount(part[part >= 0], minlength=1)
            share = counts[counts > 0] / max(counts.sum(), 1)
            entropy = float(-(share * np.log(share)).sum())
            if entropy > best:
                best, place = entropy, (slice(row, row + side), slice(col, col + side))
    return place


def _sample(bench: Benchmark, vectors: list[FloatArray], seed: int) -> FloatArray:
    learned = [vectors[i] for i in bench.training]
    return sample_vectors(learned, NUM_CLUSTERS * SAMPLES_PER_CENTROID, seed)


def _named(prefix: str, scores: dict[str, float]) -> Row:
    return {f"{prefix} {name}": value for name, value in scores.items()}


def forest_rows(bench: Benchmark, method: str = "forest") -> list[Row]:
    """Train a random forest, on the labels of each draw and on strokes.

    A seed is another simulated user. The labels of (a) are drawn several times for each anyway.

    Args:
        bench: the scenes.
        method: ``forest`` on the fixed filters, or one of `FORESTS`.
    """
    first, *others = bench.args.seeds
    if method in FORESTS:
        settings = settings_of(bench.args, "default", first)
        describer = backbone_describer(bench, FORESTS[method], settings)
    else:
        describer = filters_describer(bench.bands)
    vectors = bench.describe(describer)
    rows = []
    for name, chosen in bench.sets.items():
        labels = bench.labels.subset(chosen)
        row: Row = {"method": method, "seed": first, "scenes": name}
        for fraction in FRACTIONS:
            scores = score_forest([vectors[i] for i in chosen], labels, fraction, bench.args.draws)
            row |= _named(f"a {fraction:.0%}", scores)
        rows.append(row)
    canvases = prepare_canvases(bench, describer)
    rows[0] |= score_strokes(canvases, forest_rule, bench.args.rounds, first)
    for seed in others:
        row = {"method": method, "seed": seed, "scenes": "all"}
        rows.append(row | score_strokes(canvases, forest_rule, bench.args.rounds, seed))
    return rows


def fixed_rows(bench: Benchmark, method: str) -> list[Row]:
    """Cluster bands and filters, which need no training."""
    describer = (
        bands_describer(bench.bands)
        if method == "bands"
        else filters_describer(bench.bands, weighted=method == "weighted")
    )
    vectors, canvases = bench.describe(describer), prepare_canvases(bench, describer)
    rows = []
    for seed in bench.args.seeds:
        sample = _sample(bench, vectors, seed)
        transform = fit_feature_transform(sample, "standardise")
        if method == "weighted":
            learned = [vectors[i] for i in bench.training]
            local = sample_differences(learned, max(1, REACH // bench.args.step))
            transform = fit_scaled_transform(sample, local, "neighbours", Sides(0))
        codebook = cluster(sample, NUM_CLUSTERS, seed=seed, transform=transform).codebook
        found = score_clusters(bench, method, seed, vectors, codebook)
        rule = interactive_rule(transform.projection if method == "weighted" else None)
        found[0] |= score_strokes(canvases, rule, bench.args.rounds, seed)
        rows += found
    return rows


def backbone_rows(bench: Benchmark, method: str) -> list[Row]:
    """Cluster the features of a backbone, alone or beside filters, without a trained network."""
    rows = []
    for seed in bench.args.seeds:
        settings = settings_of(bench.args, "default", seed)
        describer = backbone_describer(bench, method, settings)
        vectors, canvases = bench.describe(describer), prepare_canvases(bench, describer)
        codebook = backbone_codebook(bench, vectors, _sample(bench, vectors, seed), seed)
        found = score_clusters(bench, method, seed, vectors, codebook)
        rule = interactive_rule(codebook.projection)
        found[0] |= score_strokes(canvases, rule, bench.args.rounds, seed)
        rows += found
    return rows


def learned_rows(bench: Benchmark, method: str, seed: int) -> list[Row]:
    """Train on the images, then score the features and clusters of the run."""
    start = time.monotonic()
    run = bench.work / f"{method}_{seed}"
    settings = settings_of(bench.args, method, seed)
    if method == TRAINED:
        settings = with_backbone(settings, bench)
    train_run(bench.images, run, settings, bench.args.patch_size)
    minutes = (time.monotonic() - start) / 60
    describer = network_describer(run)
    vectors = bench.describe(describer)
    codebook = load_run(run).stored.codebook
    rows = score_clusters(bench, method, seed, vectors, codebook)
    canvases = prepare_canvases(bench, describer)
    rule = interactive_rule(codebook.projection if codebook.has_projection else None)
    rows[0] |= score_strokes(canvases, rule, bench.args.rounds, seed)
    rows[0]["minutes of training"] = minutes
    return rows


def learned_map_rows(bench: Benchmark, method: str, seed: int) -> list[Row]:
    """Learn class maps from the labels of the blocks, on the features of the row ``default``."""
    run = bench.work / f"default_{seed}"
    settings = settings_of(bench.args, "default", seed)
    train_run(bench.images, run, settings, bench.args.patch_size)
    maps = LearnedMaps.open(run, bench.scenes, bench.work / f"features_{seed}")
    rows = []
    for name, chosen in bench.sets.items():
        labels, few = bench.labels.subset(chosen), maps.subset(chosen)
        row: Row = {"method": method, "seed": seed, "scenes": name}
        for fraction in FRACTIONS:
            draws = draw_blocks(labels.num_blocks, fraction, bench.args.draws, seed=1)
            scores = few.score(labels, fraction, draws, FITS[method])
            row |= _named(f"a {fraction:.0%}", scores)
        rows.append(row)
    return rows


def supervised_rows(bench: Benchmark, seed: int) -> list[Row]:
    """Train the network on the labels of a tenth of the blocks, the first draw of (a)."""
    settings = settings_of(bench.args, "default", seed)
    settings = dataclasses.replace(settings, num_clusters=len(bench.classes))
    rows = []
    for name, chosen in bench.sets.items():
        labels = bench.labels.subset(chosen)
        scenes = [bench.scenes[i] for i in chosen]
        known = draw_blocks(labels.num_blocks, 0.1, 1, seed=1)[0]
        corners = labelled_corners(labels, known)
        maps = supervised_maps(
            scenes, bench.bands, len(bench.classes), corners, settings,
            bench.args.supervised_steps, bench.args.patch_size, bench.args.step,
        )  # fmt: skip
        row: Row = {"method": "supervised", "seed": seed, "scenes": name}
        rows.append(row | _named("a 10%", score_map(maps, labels, ~known)))
        if name == "all":
            bench.maps.setdefault("supervised", {i: maps[i] for i in bench.shown})
    return rows


def read_settings(path: Path) -> TrainingSettings:
    """Read a file of settings.

    Raises:
        SettingsError: naming the file, if it holds anything else.
    """
    try:
        return TrainingSettings.from_mapping(read_yaml(path))
    except SettingsError as error:
        text = str(error)
        raise SettingsError(text if str(path) in text else f"{path}: {text}") from error


def settings_of(args: argparse.Namespace, method: str, seed: int) -> TrainingSettings:
    """Return the settings of a learned row.

    ``untrained`` is ``default`` before its first step, ``random`` its network alone.
    """
    if method == "published":
        settings = read_settings(ROOT / "configs" / "official.yaml")
        settings = dataclasses.replace(settings, num_epochs=args.published_epochs)
        if args.published_base_filters:
            settings = dataclasses.replace(settings, base_filters=args.published_base_filters)
    else:
        settings = read_settings(args.config) if args.config else TrainingSettings()
    settings = dataclasses.replace(settings, seed=seed)
    if method == "random":
        settings = dataclasses.replace(settings, fixed_filters=False, feature_transform="none")
    if method in ("random", "untrained"):
        settings = dataclasses.replace(settings, num_epochs=0)
    return settings


def check_patch_size(args: argparse.Namespace, method: str) -> None:
    """Refuse patches that a network cannot be trained on, before anything is measured.

    Raises:
        LabelError: if ``method`` trains a network that cannot take them.
    """
    if method in FIXED or method == "forest":
        return
    size, padding = args.patch_size, settings_of(args, method, seed=1).padding
    if output_size(size, padding) < 1:
        raise LabelError(
            f"--patch_size {size}: method {method} cannot train on such patches; the nearest "
            f"that fits is {nearest_size(size, padding)}."
        )


def method_rows(bench: Benchmark, method: str) -> list[Row]:
    """Measure a method, with every seed."""
    if method in FIXED:
        return fixed_rows(bench, method)
    if method == "forest" or method in FORESTS:
        return forest_rows(bench, method)
    if method in CLUSTERED:
        return backbone_rows(bench, method)
    seeds = bench.args.seeds
    if method in FITS:
        # a forest differs from draw to draw, not from run to run
        seeds = seeds[:1] if method == "forest_smoothed" else seeds
        return [row for seed in seeds for row in learned_map_rows(bench, method, seed)]
    if method in (*LEARNED, TRAINED):
        return [row for seed in seeds for row in learned_rows(bench, method, seed)]
    return [row for seed in seeds for row in supervised_rows(bench, seed)]
