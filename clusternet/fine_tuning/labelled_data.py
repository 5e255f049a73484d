"""Labelled patches in batches, drawn so that rare classes are seen often."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clusternet.errors import LabelError
from clusternet.fine_tuning.class_learner import class_weights
from clusternet.fine_tuning.patch_labels import IGNORE, PatchLabels
from clusternet.patches.batches import Batch
from clusternet.training.epoch_plan import TrainingData
from clusternet.types import AnyArray, IntArray
from clusternet.windows import Window, centre

_DRAW, _FIT = 6, 7  # streams of random numbers beside those of `clusternet.training.epoch_plan`
_EVENLY = 0.5  # share of the draws that all labelled patches have alike


@dataclass(frozen=True)
class LabelledData:
    """The patches of a run, and the labels of some of them."""

    data: TrainingData
    labels: PatchLabels

    @cached_property
    def _files(self) -> list[str]:
        return [file.as_posix() for file in self.data.loader.patches.files]

    @cached_property
    def patches(self) -> NDArray[np.int64]:
        """Indexes of the patches that have labels and can be trained on, ascending.

        Raises:
            LabelError: if there is none.
        """
        usable = self.data.survey.usable
        chosen = [int(i) for i in usable if self._files[i] in self.labels.counts]
        if not chosen:
            raise LabelError(
                f"{self.data.loader.patches.folder}: no patch with labels holds any data."
            )
        return np.array(chosen, np.int64)

    @cached_property
    def _chances(self) -> NDArray[np.float64]:
        """(patches,) chance of each labelled patch: half evenly, half by its rare classes."""
        counts = self._counts(self.patches)
        worth = counts @ class_weights(self.labels.shares).astype(np.float64)
        return np.asarray(_EVENLY / len(worth) + (1 - _EVENLY) * worth / worth.sum())

    def _counts(self, patches: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (patches, classes) the labelled pixels of labelled patches."""
        return np.stack([self.labels.counts[self._files[i]] for i in patches])

    def count(self, patches: NDArray[np.int64]) -> int:
        """Return the number of labelled pixels of labelled patches, where there is data or not."""
        return int(self._counts(patches).sum())

    def draw(self, epoch: int, count: int) -> NDArray[np.int64]:
        """Return indexes of labelled patches to train on in an epoch; some several times."""
        rng = np.random.default_rng((self.data.settings.seed, _DRAW, epoch))
        return rng.choice(self.patches, count, p=self._chances)

    def generator(self) -> np.random.Generator:
        """Return the source of the choices of the first fit."""
        return np.random.default_rng((self.data.settings.seed, _FIT, 0))

    def classes_of(self, batch: Batch) -> IntArray:
        """Return the columns of a batch's pixels, `IGNORE` without label or data.

        Output shape:
            (batch size, rows', cols')
        """
        columns = np.full(batch.valid.shape, IGNORE, np.int32)
        loader = self.data.loader
        middle = centre(Window(0, 0, *loader.patches.shape), loader.labelled_shape).slices()
        for row, index in enumerate(batch.indexes.tolist()):
            columns[row] = self.labels.read(self._files[index])[middle]
        return np.where(batch.valid, columns, IGNORE)


def joined(first: Batch, second: Batch) -> Batch:
    """Return two full batches as one; ``indexes`` are those of the first alone."""
    return Batch(
        first.indexes, _both(first.pixels, second.pixels), _both(first.valid, second.valid)
    )


def _both(one: AnyArray, other: AnyArray) -> AnyArray:
    return np.concatenate([one, other])
