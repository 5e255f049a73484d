"""What is learned without the fixed filters tells more than the values of pixels do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from memory_training import SETTINGS, MemoryPatches, make_training

from clusternet.clustering.kmeans import cluster
from clusternet.metrics import contingency_table, majority_mapping
from clusternet.training.learner import Learner

CLUSTERS = 24
LEARNING = replace(
    SETTINGS, num_clusters=CLUSTERS, learn_rate=2e-3, base_filters=8, num_features=16,
    train_batch_size=1, epoch_megapixels=0, samples_per_centroid=256, kmeans_iterations=10,
    feature_transform="neighbours", augment=True,
)  # fmt: skip


def grains(count: int, side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return patches in two halves of black and white, one coarse, one fine; and which is where.

    Both have as much of either, so that the values of pixels tell nothing.
    """
    rng = np.random.default_rng(seed)
    pixels, truth = [], []
    for _ in range(count):
        coarse = rng.choice([-1.0, 1.0], (side // 8 + 1, side // 8 + 1)).repeat(8, 0).repeat(8, 1)
        fine = rng.choice([-1.0, 1.0], (side, side))
        down, across = rng.integers(0, 8, 2)
        half = np.arange(side) >= side // 2 + rng.integers(-6, 7)
        is_fine = np.broadcast_to(half, (side, side)) ^ (rng.random() < 0.5)
        is_fine = is_fine.T if rng.random() < 0.5 else is_fine
        both = np.where(is_fine, fine, coarse[down : down + side, across : across + side])
        pixels.append(both + 0.3 * rng.normal(size=(side, side)))
        truth.append(is_fine)
    return np.array(pixels, np.float32)[..., None], np.array(truth).astype(int)


def agreement(clusters: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of pixels whose cluster's most frequent class is theirs."""
    table = contingency_table(clusters.ravel(), truth.ravel(), int(clusters.max()) + 1, 2)
    return float((majority_mapping(table)[clusters] == truth).mean())


def test_learned_features_tell_apart_what_bands_cannot() -> None:
    pixels, truth = grains(12, 64, seed=1)
    by_value = cluster(pixels.reshape(-1, 1), CLUSTERS).assignment.reshape(truth.shape)
    assert agreement(by_value, truth) < 0.55
    training = make_training(Learner, LEARNING, MemoryPatches(pixels, np.ones_like(truth, bool)))
    training.start()

    def score() -> float:
        batches = training.data.batches(np.arange(len(pixels)))
        return agreement(np.concatenate(list(map(training.learner.label, batches))), truth)

    untrained = score()
    for epoch in range(1, 7):
        training.epoch(epoch)
    # five scenes gave 0.64 to 0.74 before training, and 0.82 to 0.93 after it
    assert score() > max(0.78, untrained + 0.05)
