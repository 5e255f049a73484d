"""The parts of a run folder, made by hand: small, and nothing is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clusternet.clustering.components import Components
from clusternet.clustering.kmeans import Codebook
from clusternet.patches.bands import Bands
from clusternet.settings import TrainingSettings
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.run import EpochRecord
from clusternet.training.stored_codebook import StoredCodebook

SETTINGS = TrainingSettings(num_clusters=4, img_shape=(64, 48), nodata=0.0)
BANDS = Bands(1, "uint8", 0.0, (100.0,), (50.0,), (64, 48))
RECORDS = [EpochRecord(epoch, 1.5, 0.25, 0.9, 3, 40, 0, 1.25, 8.0) for epoch in (1, 2)]


class Network:
    """Stands for a Keras model: what a run asks of it."""

    def __init__(self, content: bytes = b"network") -> None:
        self.content = content

    def save(self, path: Path) -> None:
        path.write_bytes(self.content)


def stored(seed: int = 0, clusters: int = 4) -> StoredCodebook:
    rng = np.random.default_rng(seed)
    centroids = rng.normal(size=(clusters, 3)).astype(np.float32)
    codebook = Codebook(centroids, np.ones(3, np.float32), np.eye(3, dtype=np.float32))
    sizes = np.arange(clusters, dtype=np.int32)
    components = Components(np.ones((3, 1), np.float32), np.array([[0], [1]], np.float32))
    return StoredCodebook(
        codebook, sizes, np.array([[0, 0, 0], [1, 2, 3]], np.float32), components=components
    )


def checkpoint(epoch: int = 2) -> Checkpoint:
    arrays = {"weight_0000": np.arange(6.0).reshape(2, 3), "optimizer_0000": np.array(7)}
    return Checkpoint(epoch, arrays, stored(), tuple(RECORDS[:epoch]))
