"""A training of a few tiny patches in memory.

Its network is built once for all tests, or stands in for one: `LinearLearner` keeps the
promises of a learner without any library, in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from clusternet.clustering.kmeans import Clustering, Codebook
from clusternet.clustering.sampling import Sample, SamplePlan, join_samples, neighbours
from clusternet.network.sizes import check_shape
from clusternet.patches.bands import Bands
from clusternet.patches.batches import Batch, BatchLoader
from clusternet.patches.survey import Survey
from clusternet.settings import TrainingSettings
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.epoch_plan import EpochPlan, TrainingData
from clusternet.training.epoch_progress import EpochProgress
from clusternet.training.learner import IGNORE, Learner
from clusternet.training.loop import alternate
from clusternet.training.run import EpochRecord
from clusternet.training.run_writer import RunWriter
from clusternet.windows import Shape, Window, centre

SETTINGS = TrainingSettings(
    num_clusters=5, num_epochs=3, base_filters=2, num_features=6, samples_per_centroid=40,
    learn_rate=0.01, precision="float32", feature_transform="none", fixed_filters=False,
    train_batch_size=2, epoch_megapixels=0.004, kmeans_iterations=4, augment=False, workers=1,
)  # fmt: skip
"""An epoch of these is 4 patches of 32 x 32 pixels, in 2 steps."""
USABLE = [0, 1, 3, 4, 5, 6, 7, 8, 9]
"""The patches of `random_patches` that hold data."""

MakeLearner = Callable[[int, Shape, TrainingSettings, int], Any]


class Learners:
    """Gives networks as if each were new: compiled once, put back to their first weights."""

    def __init__(self) -> None:
        self._made: dict[object, tuple[Learner, dict[str, np.ndarray]]] = {}

    def __call__(
        self,
        num_bands: int,
        shape: Shape,
        settings: TrainingSettings,
        batch_size: int,
        describer: None = None,
    ) -> Learner:
        """Take the arguments of `Learner`; a describer of a backbone is not kept."""
        assert describer is None
        # what a network does not depend on
        alike = replace(
            settings, num_epochs=1, learn_rate=1, cluster_scope="epoch", clust_batch_size=1,
            augment=False, train_batch_size=1, epoch_megapixels=1, samples_per_centroid=1,
            sample_patches=1, kmeans_iterations=1, workers=1, nodata=None, img_shape=None,
            skip_bad_files=False,
        )  # fmt: skip
        key = (num_bands, shape, batch_size, alike)
        if key not in self._made:
            learner = Learner(num_bands, shape, settings, batch_size)
            self._made[key] = learner, learner.state()
        learner, first = self._made[key]
        learner.restore(first)
        learner._trainer.optimizer.learning_rate = settings.learn_rate
        return learner


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

    @property
    def files(self) -> list[Path]:
        return [Path("scene") / f"{number:02d}.png" for number in range(len(self))]

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.pixels[index], self.valid[index]


class LinearLearner:
    """Features are bands times weights, and a step moves the weights: a network in miniature."""

    def __init__(
        self, num_bands: int, shape: Shape, settings: TrainingSettings, batch_size: int
    ) -> None:
        rng = np.random.default_rng(settings.seed)
        self.weights = rng.normal(size=(num_bands, settings.num_features)).astype(np.float32)
        self.moment = np.zeros_like(self.weights)
        self.steps_since_reset = 0
        self.starts: list[np.ndarray | None] = []
        self.codebook: Codebook | None = None
        self._compare = settings.feature_transform == "neighbours"
        self.network = self

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Return (..., features)."""
        return pixels @ self.weights

    def freeze(self, codebook: Codebook) -> None:
        self._frozen, self.codebook = self.weights.copy(), codebook

    def label(self, batch: Batch, starts: np.ndarray | None = None) -> np.ndarray:
        self.starts.append(starts)
        labels = nearest(batch.pixels @ self._frozen, self.codebook)
        return np.where(batch.valid, labels, IGNORE).astype(np.int32)

    def fit(self, pixels: np.ndarray, labels: np.ndarray) -> float:
        chosen = pixels[labels >= 0].mean(axis=0)
        self.moment = 0.5 * self.moment + np.outer(chosen, np.cos(np.arange(self.moment.shape[1])))
        self.weights = (self.weights + 0.5 * self.moment).astype(np.float32)
        self.steps_since_reset += 1
        return float(labels[labels >= 0].mean())

    def reset_optimizer(self) -> None:
        self.moment, self.steps_since_reset = np.zeros_like(self.moment), 0

    def embed(self, batch: Batch) -> np.ndarray:
        return self.features(batch.pixels)[batch.valid]

    def embed_sample(self, batch: Batch, plan: SamplePlan) -> Sample:
        nothing = np.zeros((0, self.weights.shape[1]), np.float32)
        parts = [Sample(nothing, nothing)]  # alone where a member of a group has no patch
        for place, index in enumerate(batch.indexes.tolist()):
            everywhere = self.features(batch.pixels[place]).reshape(batch.valid[place].size, -1)
            chosen = plan.positions(index, batch.valid[place])
            here, there = neighbours(chosen[: None if self._compare else 0], batch.valid[place])
            parts.append(Sample(everywhere[chosen], everywhere[here] - everywhere[there]))
        return join_samples(parts)

    def state(self) -> dict[str, np.ndarray]:
        return {"weight_0000": self.weights, "optimizer_0000": self.moment}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.weights, self.moment = state["weight_0000"], state["optimizer_0000"]
        self.codebook = None

    def save(self, path: Path) -> None:
        with path.open("wb") as stream:  # under exactly this name
            np.save(stream, self.weights)


class Recorder:
    """An observer of the algorithm that keeps what it is told."""

    def __init__(self) -> None:
        self.plans: list[EpochPlan] = []
        self.clustered_epochs: list[int] = []
        self.losses: list[float] = []
        self.fitted_patches: list[int] = []
        self.samples: list[Sample] = []
        self.clusterings: list[Clustering] = []
        self.labels_before: list[np.ndarray | None] = []
        self.history: list[EpochRecord] = []
        self._progress = EpochProgress()

    def epoch_started(self, plan: EpochPlan) -> None:
        self.plans.append(plan)
        self._progress.epoch_started(plan)

    def fitted(self, batch: Batch, loss: float) -> None:
        self.losses.append(loss)
        self.fitted_patches += batch.indexes.tolist()
        self._progress.fitted(batch, loss)

    def embedded(self, batch: Batch, plan: EpochPlan) -> None:
        self._progress.embedded(batch, plan)

    def clustered(
        self, plan: EpochPlan, sample: Sample, clustering: Clustering, before: np.ndarray | None
    ) -> None:
        self.clustered_epochs.append(plan.epoch)
        self.samples.append(sample)
        self.clusterings.append(clustering)
        self.labels_before.append(before)
        self._progress.close_bar()
        if before is not None:
            self.history.append(self._progress.record(plan, clustering, before))


@dataclass
class Training:
    """What the algorithm works with, in memory; ``observer`` may write it to a folder."""

    learner: Any
    data: TrainingData
    observer: Any

    def change(self, **changes: Any) -> None:
        """Give the algorithm other settings from now on."""
        self.data = replace(self.data, settings=replace(self.data.settings, **changes))

    def start(self) -> None:
        """Find the first clusters."""
        self._run_to(0, 0)

    def epoch(self, number: int) -> None:
        """Run one epoch."""
        self._run_to(number, number - 1)

    def _run_to(self, last: int, done: int) -> None:
        settings = replace(self.data.settings, num_epochs=last)
        alternate(self.learner, replace(self.data, settings=settings), self.observer, done)

    def complete(self, checkpoint: Checkpoint | None = None) -> None:
        """Run all epochs, written to a folder."""
        with self.observer.writing():
            if checkpoint is not None:
                self.observer.restore(checkpoint)
            alternate(self.learner, self.data, self.observer, self.observer.epochs_done)

    def features(self) -> np.ndarray:
        """Return the features of all pixels of all patches under the present weights."""
        return self.learner.features(self.data.loader.patches.pixels)


def random_patches(count: int = 10, shape: Shape = (32, 32), seed: int = 0) -> MemoryPatches:
    """Return blocks of noisy colours: the first full, the third empty, the others with gaps."""
    rng = np.random.default_rng(seed)
    rows, cols = -(-shape[0] // 8), -(-shape[1] // 8)
    blocks = rng.normal(size=(count, rows, cols, 3)).repeat(8, axis=1).repeat(8, axis=2)
    noise = rng.normal(size=(count, *shape, 3))
    pixels = (blocks[:, : shape[0], : shape[1]] + 0.3 * noise).astype(np.float32)
    valid = rng.random((count, *shape)) < 0.9
    valid[0], valid[2] = True, False
    return MemoryPatches(pixels * valid[..., None], valid)


def make_training(
    make: MakeLearner = LinearLearner,
    settings: TrainingSettings = SETTINGS,
    patches: MemoryPatches | None = None,
    output: Path | None = None,
    **options: Any,
) -> Training:
    """Return a training that has not started.

    Args:
        make: makes the learner.
        settings: of the training.
        patches: those of `random_patches` if there are no others.
        output: the run folder; without it nothing is written.
        options: more of `RunWriter`.
    """
    patches = patches or random_patches()
    labelled = check_shape(patches.shape, settings.padding)
    bands = patches.num_bands
    middle = centre(Window(0, 0, *patches.shape), labelled).slices()
    counts = patches.valid[:, *middle].sum(axis=(1, 2))
    survey = Survey(
        bands=Bands(bands, "float32", None, (0.0,) * bands, (1.0,) * bands, patches.shape),
        usable=np.flatnonzero(counts),
        valid_counts=counts[counts > 0],
        num_damaged=0,
        num_blank=int((counts == 0).sum()),
    )
    batch_size = settings.batch_size(patches.shape, len(survey.usable))
    loader = BatchLoader(patches, survey.bands, labelled, batch_size, settings.workers)
    learner = make(bands, patches.shape, settings, batch_size)
    data = TrainingData(loader, survey, settings)
    observer = Recorder() if output is None else RunWriter(output, learner, data, **options)
    return Training(learner, data, observer)


def places(codebook: Codebook) -> np.ndarray:
    """Return where the centroids lie among features that are only centred; (clusters, depth)."""
    assert not codebook.has_projection
    return codebook.centroids.astype(float) + codebook.offset


def nearest(points: np.ndarray, codebook: Codebook) -> np.ndarray:
    """Return the nearest centroid of each point by brute force; (..., depth) -> (...)."""
    return ((points[..., None, :] - places(codebook)) ** 2).sum(axis=-1).argmin(axis=-1)
