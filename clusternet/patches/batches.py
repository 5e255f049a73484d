"""Patches as batches of one fixed size, standardised, read ahead in threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    before: int = 0
    """Patches of the same step that members of a group have whose rank is lower."""
    after: int = 0
    """Patches of the same step that members of a group have whose rank is higher."""

    @property
    def num_together(self) -> int:
        """Patches of the step, of all members of a group."""
        return self.before + len(self.indexes) + self.after


@dataclass(frozen=True)
class Part:
    """The patches of a step that one process takes."""

    indexes: NDArray[np.int64]
    """Of the patches; as many as a batch holds, or fewer."""
    before: int = 0
    """See `Batch`."""
    after: int = 0
    """See `Batch`."""


def part_of_step(step: NDArray[np.int64], rank: int, size: int) -> Part:
    """Return the part of a member of a group: an equal share, or one patch less than others.

    Args:
        step: indexes of the patches of the step.
        rank: number of the member, from 0.
        size: members of the group.
    """
    parts = np.array_split(step, size)
    lengths = [len(part) for part in parts]
    return Part(parts[rank], sum(lengths[:rank]), sum(lengths[rank + 1 :]))


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
        steps = [Part(order[start : start + self.batch_size]) for start in starts]
        return self.parts(steps)

    def parts(self, steps: Iterable[Part]) -> Iterator[Batch]:
        """Yield a batch for each part of a step, filled up with empty patches; see `batches`."""
        return prefetch(self._read, steps, self.workers)

    def _read(self, part: Part) -> Batch:
        shape, middle = (
            self.patches.shape,
            centre(Window(0, 0, *self.patches.shape), self.labelled_shape),
        )
        pixels = np.zeros((self.batch_size, *shape, self.patches.num_bands), np.float32)
        valid = np.zeros((self.batch_size, *self.labelled_shape), bool)
        for row, index in enumerate(part.indexes):
            values, usable = self.patches.read(int(index))
            pixels[row] = self.bands.standardise(values, usable)
            valid[row] = usable[middle.slices()]
        return Batch(part.indexes, pixels, valid, part.before, part.after)
