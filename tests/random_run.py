"""A run folder without training, for tests of what comes after it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clusternet.clustering.kmeans import cluster
from clusternet.legend.land_classes import LandClass
from clusternet.network.filter_sizes import num_filters
from clusternet.network.unet import build_network
from clusternet.patches.bands import Bands
from clusternet.settings import TrainingSettings
from clusternet.training.class_head import ClassHead
from clusternet.training.run import save_description, save_result
from clusternet.training.stored_codebook import StoredCodebook

CLUSTERS = 6


def make_run(
    folder: Path,
    padding: str = "same",
    num_bands: int = 3,
    dtype: str = "uint8",
    *,
    fixed_filters: bool = False,
    classes: Sequence[LandClass] = (),
) -> Path:
    """Write a run with random weights and a codebook of random features.

    With classes its head looks at the first band alone, whose range it cuts into as many parts.
    """
    depth = 6 + (num_filters(num_bands) if fixed_filters else 0)
    settings = TrainingSettings(
        num_clusters=CLUSTERS,
        base_filters=2,
        num_features=6,
        padding=padding,
        precision="float32",
        fixed_filters=fixed_filters,
    )
    shape = (64, 64) if padding == "same" else (256, 256)
    network = build_network(num_bands, CLUSTERS, shape=shape, base_filters=2, num_features=6,
                            padding=padding)  # fmt: skip
    bands = Bands(num_bands, dtype, None, (100.0,) * num_bands, (50.0,) * num_bands, shape)
    features = np.abs(np.random.default_rng(0).normal(size=(500, depth))).astype(np.float32)
    found = cluster(features, CLUSTERS)
    feature_range = np.percentile(features, (0.5, 99.5), axis=0).astype(np.float32)
    save_description(folder, settings, bands)
    stored = StoredCodebook(found.codebook, found.sizes, feature_range)
    head = (
        ClassHead(tuple(classes), _thresholds(depth, min(6, depth - 1), len(classes)))
        if classes
        else None
    )
    save_result(folder, network, stored, [], class_head=head)
    return folder


def _thresholds(depth: int, band: int, count: int) -> dict[str, np.ndarray]:
    """Return a class head whose best column is the number of thresholds below a feature.

    The score of column k is k x - (t1 + ... + tk), for thresholds t between -1 and 1.
    """
    hidden = np.zeros((depth, 2), np.float32)
    hidden[band] = 1, -1  # both signs, since hidden units are never negative
    steps = np.arange(count, dtype=np.float32)
    cuts = np.linspace(-1, 1, count + 1)[1:-1]
    bias = -np.concatenate([[0], np.cumsum(cuts)]).astype(np.float32)
    return {
        "offset": np.zeros(depth, np.float32), "projection": np.eye(depth, dtype=np.float32),
        "hidden": hidden, "hidden_bias": np.zeros(2, np.float32),
        "output": np.stack([steps, -steps]), "bias": bias,
    }  # fmt: skip
