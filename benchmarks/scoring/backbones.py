"""Rows of pixels that are described by a pretrained network, and by others beside it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from clusternet.clustering.feature_transform import Sides, fit_scaled_transform
from clusternet.clustering.kmeans import BACKBONE_WEIGHT, Codebook, cluster
from clusternet.clustering.sampling import REACH
from clusternet.errors import LabelError
from clusternet.settings import TrainingSettings
from clusternet.training.run import load_run
from clusternet.types import FloatArray
from scoring.clusters import sample_differences
from scoring.describers import Describer, network_describer, train_run
from scoring.scenes import Scene

if TYPE_CHECKING:
    from scoring.rows import Benchmark

CLUSTERED = ("backbone", "filters+backbone")
"""Rows of clusters without a trained network."""
TRAINED = "all"
"""The row of a run with ``--backbone``."""
FORESTS = {"forest backbone": CLUSTERED[1], "forest all": TRAINED}
"""Rows of a forest, and what pixels are described by."""
NEED_BACKBONE = (*CLUSTERED, TRAINED, *FORESTS)


def check_backbone(method: str, backbone: str | None) -> None:
    """Refuse rows of a backbone if none is given.

    Raises:
        LabelError: naming the row.
    """
    if method in NEED_BACKBONE and backbone is None:
        raise LabelError(f"--methods {method}: needs a pretrained network; add --backbone FILE.")


def with_backbone(settings: TrainingSettings, bench: Benchmark) -> TrainingSettings:
    """Return settings with the backbone of the command line."""
    weights = bench.args.backbone_weights
    return dataclasses.replace(settings, backbone=bench.args.backbone, backbone_weights=weights)


def backbone_describer(bench: Benchmark, name: str, settings: TrainingSettings) -> Describer:
    """Describe a pixel by some of the features of a run with a backbone.

    Args:
        bench: the scenes.
        name: ``backbone``, ``filters+backbone``, or ``all``.
        settings: of the run. Unless its trained features are asked for, it is not trained.
    """
    if name != TRAINED:
        settings = dataclasses.replace(settings, num_epochs=0)
    folder = bench.work / f"{'all' if name == TRAINED else 'backbone'}_{settings.seed}"
    train_run(bench.images, folder, with_backbone(settings, bench), bench.args.patch_size)
    describe_all = network_describer(folder)
    run = load_run(folder)
    first = 0 if name == TRAINED else settings.num_features
    if name == CLUSTERED[0] and run.stored.reduction is not None:
        first = len(run.stored.codebook.offset) - run.stored.reduction.num_features

    def describe(scene: Scene, step: int) -> FloatArray:
        return describe_all(scene, step)[..., first:]

    return describe


def backbone_codebook(
    bench: Benchmark, vectors: list[FloatArray], sample: FloatArray, seed: int
) -> Codebook:
    """Return 100 clusters of vectors of `CLUSTERED`, weighted as a run weighs them."""
    run = load_run(bench.work / f"backbone_{seed}")
    reduction = run.stored.reduction
    count = 0 if reduction is None else reduction.num_features
    local = sample_differences(
        [vectors[i] for i in bench.training], max(1, REACH // bench.args.step)
    )
    sides = Sides(0, num_backbone=count, backbone_weight=BACKBONE_WEIGHT)
    transform = fit_scaled_transform(sample, local, "neighbours", sides)
    return cluster(sample, run.settings.num_clusters, seed=seed, transform=transform).codebook
