"""What is drawn at random for an epoch: its patches, their order, sampled pixels, views.

Each kind of choice has its own stream of random numbers, seeded by the run's seed, the number of
the stream and the epoch. No choice depends on another one, and a resumed run makes the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from clusternet.clustering.sampling import SamplePlan, plan_sample
from clusternet.patches.augmentation import augment, augment_part
from clusternet.patches.batches import Batch, BatchLoader, part_of_step
from clusternet.patches.survey import Survey
from clusternet.processes.groups import ALONE, Group
from clusternet.settings import TrainingSettings
from clusternet.types import FloatArray, IntArray

# the streams; numbers are never reused
_SAMPLE, _ORDER, _VIEWS, _PATCHES, _GROUP, _STARTS = 1, 2, 3, 4, 5, 6
_SAMPLES_PER_CENTROID = 256  # of the codebook that is kept, where groups take all their pixels


@dataclass(frozen=True)
class PatchGroup:
    """Patches that have a codebook of their own, in the published scheme."""

    patches: NDArray[np.int64]
    """Their indexes, in the order of training."""
    seed: tuple[int, ...]
    """Fixes which of their pixels are clustered, where not all are."""


@dataclass(frozen=True)
class EpochPlan:
    """The choices of one epoch."""

    epoch: int
    seed: int
    """Of the run."""
    order: NDArray[np.int64]
    """Indexes of the patches to train on, in random order."""
    sample: SamplePlan
    """The pixels that are clustered at the end of the epoch."""
    view_generator: Generator | None
    """Draws how views differ from patches; None to train on the patches as they are."""
    turns: bool
    """Views may be flipped and turned."""
    pixel_step: int = 1
    """Rows and columns from one pixel that is trained on to the next."""

    def view(
        self, pixels: FloatArray, labels: IntArray, batch: Batch | None = None
    ) -> tuple[FloatArray, IntArray]:
        """Return another view of labelled patches, see `clusternet.patches.augmentation.augment`.

        Each call goes on in one stream of random numbers: views depend on the order of calls.

        Args:
            pixels: of the patches.
            labels: of the patches.
            batch: that they are; needed where a group of processes shares its step.
        """
        rng, turn = self.view_generator, self.turns
        if rng is None:
            return pixels, labels
        if batch is None or batch.num_together == len(batch.indexes):
            return augment(pixels, labels, rng, turn=turn)
        places = range(batch.before, batch.before + len(batch.indexes))
        return augment_part(pixels, labels, rng, places, batch.num_together, turn=turn)

    def starts(self, batch: Batch) -> IntArray | None:
        """Return the first row and column of the pixels of patches that are trained on.

        They depend on the epoch and the patch alone.

        Returns:
            (batch size, 4, 2) of each quarter, see `clusternet.network.pixel_grid`; None where
            all pixels are trained on.
        """
        if self.pixel_step == 1:
            return None
        starts = np.zeros((len(batch.pixels), 4, 2), np.int32)
        for row, patch in enumerate(batch.indexes.tolist()):
            rng = np.random.default_rng((self.seed, _STARTS, self.epoch, patch + 1))
            starts[row] = rng.integers(self.pixel_step, size=(4, 2))
        return starts

    def groups(self, size: int) -> Iterator[PatchGroup]:
        """Cut the order into groups of ``size`` patches."""
        for first in range(0, len(self.order), size):
            seed = (self.seed, _GROUP, self.epoch, first + 1)
            yield PatchGroup(self.order[first : first + size], seed)


@dataclass(frozen=True)
class TrainingData:
    """The patches of a run, and what is drawn from them for each epoch."""

    loader: BatchLoader
    survey: Survey
    settings: TrainingSettings
    group: Group = ALONE
    """The processes that share each step; this process reads its part of the patches."""

    @property
    def step_size(self) -> int:
        """Patches in a step of all members of the group together."""
        if self.group.size == 1:
            return self.loader.batch_size
        return self.settings.batch_size(self.loader.patches.shape, len(self.survey.usable))

    def batches(self, patches: NDArray[np.int64]) -> Iterator[Batch]:
        """Yield this process's part of each batch of patches, see `BatchLoader.batches`."""
        rank, size, step = self.group.rank, self.group.size, self.step_size
        starts = range(0, len(patches), step)
        return self.loader.parts(
            part_of_step(patches[start : start + step], rank, size) for start in starts
        )

    def plan(self, epoch: int) -> EpochPlan:
        """Draw the choices of an epoch."""
        settings, survey = self.settings, self.survey
        chosen = self._choose_patches(epoch)
        per_centroid = settings.samples_per_centroid or _SAMPLES_PER_CENTROID
        sample = plan_sample(
            survey.usable[chosen],
            survey.valid_counts[chosen],
            per_centroid * settings.num_clusters,
            settings.sample_patches,
            (settings.seed, _SAMPLE, epoch),
        )
        return EpochPlan(
            epoch,
            settings.seed,
            order=self._generator(_ORDER, epoch).permutation(survey.usable[chosen]),
            sample=sample,
            view_generator=self._generator(_VIEWS, epoch) if settings.augment else None,
            # with valid padding labels cover a centre that need not be symmetric
            turns=settings.padding == "same",
            pixel_step=settings.pixel_step,
        )

    def _choose_patches(self, epoch: int) -> NDArray[np.int64]:
        """Choose the patches of an epoch: positions in the list of usable ones, ascending."""
        num_usable, settings = len(self.survey.usable), self.settings
        most = settings.epoch_patches(self.loader.patches.shape, num_usable)
        count = min(num_usable, max(most, self.step_size))  # no fewer than fill a batch
        chosen = self._generator(_PATCHES, epoch).choice(num_usable, count, replace=False)
        return np.sort(chosen)

    def _generator(self, stream: int, epoch: int) -> Generator:
        return np.random.default_rng((self.settings.seed, stream, epoch))
