"""A training of a few tiny patches in memory, on a network that is built once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clusternet.alternation import Alternation
from clusternet.bands import Bands
from clusternet.batches import BatchLoader
from clusternet.clustering import Codebook
from clusternet.epochs import Training
from clusternet.network_shape import check_shape
from clusternet.settings import TrainingSettings
from clusternet.survey import Survey
from clusternet.windows import Shape, Window, centre

SETTINGS = TrainingSettings(
    num_clusters=5, num_epochs=3, base_filters=2, num_features=6, samples_per_centroid=40,
    learn_rate=0.01, precision="float32", feature_transform="none", fixed_filters=False,
    train_batch_size=2, epoch_megapixels=0.004, kmeans_iterations=4, augment=False, workers=1,
)  # fmt: skip
"""An epoch of these is 4 patches of 32 x 32 pixels, in 2 steps."""

MakeAlternation = Callable[[int, Shape, TrainingSettings, int], Alternation]


class Alternations:
    """Gives networks as if each were new: compiled once, put back to their first weights."""

    def __init__(self) -> None:
        self._made: dict[object, tuple[Alternation, dict[str, np.ndarray]]] = {}

    def __call__(
        self, num_bands: int, shape: Shape, settings: TrainingSettings, batch_size: int
    ) -> Alternation:
        """Take the arguments of `Alternation`."""
        # what a network does not depend on
        alike = replace(
            settings, num_epochs=1, learn_rate=1, cluster_scope="epoch", clust_batch_size=1,
            augment=False, train_batch_size=1, epoch_megapixels=1, samples_per_centroid=1,
            sample_patches=1, kmeans_iterations=1, workers=1, nodata=None, img_shape=None,
            skip_bad_files=False,
        )  # fmt: skip
        key = (num_bands, shape, batch_size, alike)
        if key not in self._made:
            alternation = Alternation(num_bands, shape, settings, batch_size)
            self._made[key] = alternation, alternation.state()
        alternation, first = self._made[key]
        alternation.restore(first)
        alternation._trainer.optimizer.learning_rate = settings.learn_rate
        return alternation


@dataclass(frozen=True)
class MemoryPatches:
    """Stands for a folder of patches."""

    pixels: np.ndarray
    """(patches, rows, cols, bands), standardised."""
    valid: np.ndarray
    """(patches, rows, cols)"""

    @property
    def shape(self) -> Shape:
        return self.pixels.shape[1], self.pixels.shape[2]

    @property
    def num_bands(self) -> int:
        return self.pixels.shape[-1]

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.pixels[index], self.valid[index]


class QuietTraining(Training):
    """Writes nothing."""

    def _save(self, folder: Path) -> None:
        pass

    def _show(self) -> None:
        pass


def random_patches(count: int = 9, shape: Shape = (32, 32), seed: int = 0) -> MemoryPatches:
    """Return blocks of noisy colours; every patch but the first has places without data."""
    rng = np.random.default_rng(seed)
    rows, cols = -(-shape[0] // 8), -(-shape[1] // 8)
    blocks = rng.normal(size=(count, rows, cols, 3)).repeat(8, axis=1).repeat(8, axis=2)
    noise = rng.normal(size=(count, *shape, 3))
    pixels = (blocks[:, : shape[0], : shape[1]] + 0.3 * noise).astype(np.float32)
    valid = rng.random((count, *shape)) < 0.9
    valid[0] = True
    return MemoryPatches(pixels * valid[..., None], valid)


def make_training(
    make: MakeAlternation,
    settings: TrainingSettings = SETTINGS,
    patches: MemoryPatches | None = None,
    output: Path = Path("never written"),
) -> QuietTraining:
    """Return a training that has not started."""
    patches = patches or random_patches()
    labelled = check_shape(patches.shape, settings.padding)
    bands = patches.num_bands
    survey = Survey(
        bands=Bands(bands, "float32", None, (0.0,) * bands, (1.0,) * bands, patches.shape),
        usable=np.arange(len(patches)),
        valid_counts=patches.valid[
            :, *centre(Window(0, 0, *patches.shape), labelled).slices()
        ].sum(axis=(1, 2)),
        num_damaged=0,
        num_blank=0,
    )  # fmt: skip
    batch_size = settings.batch_size(patches.shape, len(patches))
    loader = BatchLoader(patches, survey.bands, labelled, batch_size, settings.workers)
    alternation = make(bands, patches.shape, settings, batch_size)
    return QuietTraining(output, settings, loader, survey, alternation)


def start(training: Training) -> None:
    """Do what `Training.start` does, but write nothing."""
    from clusternet.pseudo_labels import cluster_features

    sample = training._embed(training._plan(0))
    training._take_over(cluster_features(sample, training.settings), sample)


def places(codebook: Codebook) -> np.ndarray:
    """Return where the centroids lie among features that are only centred; (clusters, depth)."""
    assert not codebook.has_projection
    return codebook.centroids.astype(float) + codebook.offset


def nearest(points: np.ndarray, codebook: Codebook) -> np.ndarray:
    """Return the nearest centroid of each point by brute force; (..., depth) -> (...)."""
    return ((points[..., None, :] - places(codebook)) ** 2).sum(axis=-1).argmin(axis=-1)
