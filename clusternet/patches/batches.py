"""Patches as batches of one fixed size, standardised, read ahead in threads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clusternet.patches.bands import Bands
from clusternet.patches.folder import PatchFolder
from clusternet.processes.prefetch import prefetch
from clusternet.types import BoolArray, FloatArray
from clusternet.windows import Shape, Window, centre


@dataclass(frozen=True)
class Batch:
    """Patches that go through the network together."""

    indexes: NDArray[np.int64]
    """(patches,) in the folder; fewer than ``pixels`` has where the batch is filled up."""
    pixels: FloatArray
    """(batch size, rows, cols, bands), standardised, 0 where not valid."""
    valid: BoolArray
    """(batch size, rows', cols') of the centre that gets labels; False where filled up."""


@dataclass(frozen=True)
class BatchLoader:
    """Reads patches in any order."""

    patches: PatchFolder
    bands: Bands
    labelled_shape: Shape
    """(rows', cols') of the centre of a patch that gets labels."""
    batch_size: int
    workers: int

    def batches(self, order: NDArray[np.int64]) -> Iterator[Batch]:
        """Yield batches of the patches ``order``; reading overlaps with the consumer's work.

        The last batch is filled up with empty patches: TensorFlow would trace the network again for
        a smaller one.
        """
        starts = range(0, len(order), self.batch_size)
        groups = [order[start : start + self.batch_size] for start in starts]
        return prefetch(self._read, groups, self.workers)

    def _read(self, indexes: NDArray[np.int64]) -> Batch:
        shape, middle = (
            self.patches.shape,
            centre(Window(0, 0, *self.patches.shape), self.labelled_shape),
        )
        pixels = np.zeros((self.batch_size, *shape, self.patches.num_bands), np.float32)
        valid = np.zeros((self.batch_size, *self.labelled_shape), bool)
        for row, index in enumerate(indexes):
            values, usable = self.patches.read(int(index))
            pixels[row] = self.bands.standardise(values, usable)
            valid[row] = usable[middle.slices()]
        return Batch(indexes, pixels, valid)
