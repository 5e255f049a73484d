"""A run folder without training, for tests of what comes after it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clusternet.clustering.kmeans import cluster
from clusternet.network.filter_bank import num_filters
from clusternet.network.unet import build_network
from clusternet.patches.bands import Bands
from clusternet.settings import TrainingSettings
from clusternet.training.run import StoredCodebook, save_description, save_result

CLUSTERS = 6


def make_run(
    folder: Path,
    padding: str = "same",
    num_bands: int = 3,
    dtype: str = "uint8",
    *,
    fixed_filters: bool = False,
) -> Path:
    """Write a run with random weights and a codebook of random features."""
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
    save_result(folder, network, StoredCodebook(found.codebook, found.sizes, feature_range), [])
    return folder
