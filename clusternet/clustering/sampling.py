"""The sample that K-Means gets: uniform over valid pixels, drawn without reading all patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clusternet.types import BoolArray, FloatArray, IntArray

REACH = 16
"""Rows or columns between two pixels whose features are compared: twice the largest scale of the
fixed filters."""
_LARGEST_URN = 1_000_000_000  # pixels; the limit of numpy's hypergeometric draw


@dataclass(frozen=True)
class Sample:
    """Features to cluster, and how they differ between neighbours."""

    features: FloatArray
    """(samples, depth)."""
    differences: FloatArray
    """(pairs, depth) between the features of pixels that are `REACH` apart; may be empty."""
    num_backbone: int = 0
    """Features of a backbone, at the end."""


def join_samples(samples: Sequence[Sample]) -> Sample:
    """Concatenate samples in their order."""
    return Sample(
        np.concatenate([sample.features for sample in samples]),
        np.concatenate([sample.differences for sample in samples]),
        samples[0].num_backbone,
    )


@dataclass(frozen=True)
class SamplePlan:
    """How many pixels of which patches are sampled; the same plan gives the same pixels."""

    quotas: dict[int, int]
    """Patch index -> number of pixels."""
    seed: tuple[int, ...]
    """Fixes which pixels."""

    @property
    def patches(self) -> NDArray[np.int64]:
        """Indexes of the patches sampled."""
        return np.array(list(self.quotas), np.int64)

    @property
    def row_length(self) -> int:
        """Largest quota rounded up to a power of two.

        Positions are given to the network in rows of this length. Quotas differ from epoch to
        epoch. Rounded they seldom do, and TensorFlow traces the graph again for each new length.
        """
        return 1 << (max(self.quotas.values()) - 1).bit_length()

    def positions(self, patch: int, valid: BoolArray) -> IntArray:
        """Return the positions row * cols + col of the sampled pixels of a patch, in order."""
        # numpy takes (1, 2) and (1, 2, 0) for the same seed: patch 0 needs another number
        rng = np.random.default_rng([*self.seed, patch + 1])
        return np.sort(rng.choice(np.flatnonzero(valid), self.quotas[patch], replace=False)).astype(
            np.int32
        )


def neighbours(positions: IntArray, valid: BoolArray) -> tuple[IntArray, IntArray]:
    """Return pairs of positions, those given and the ones `REACH` below and to the right.

    Pairs of which one is outside or has no data are left out.

    Args:
        positions: (samples,) row * cols + col.
        valid: (rows, cols).
    """
    rows, cols = np.unravel_index(positions, valid.shape)
    here, there = [], []
    for down, across in ((REACH, 0), (0, REACH)):
        inside = (rows + down < valid.shape[0]) & (cols + across < valid.shape[1])
        inside[inside] = valid[rows[inside] + down, cols[inside] + across]
        here.append(positions[inside])
        there.append(positions[inside] + np.int32(down * valid.shape[1] + across))
    return np.concatenate(here), np.concatenate(there)


def plan_sample(
    usable: NDArray[np.int64],
    valid_counts: NDArray[np.int64],
    num_samples: int,
    num_patches: int,
    seed: tuple[int, ...],
) -> SamplePlan:
    """Choose patches, and how many pixels of each, so that the sample is uniform over pixels.

    Args:
        usable: indexes of patches.
        valid_counts: valid pixels of each of them.
        num_samples: pixels wanted; all are taken if there are fewer.
        num_patches: patches to draw from, at most.
        seed: fixes the choice.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(usable), min(num_patches, len(usable)), replace=False))
    counts = valid_counts[chosen]
    total = int(counts.sum())
    if total <= num_samples:
        quotas = counts
    elif total < _LARGEST_URN:
        quotas = rng.multivariate_hypergeometric(counts, num_samples, method="marginals")
    else:  # of so many pixels the same one is hardly ever drawn twice: draw with replacement
        quotas = np.minimum(rng.multinomial(num_samples, counts / total), counts)
    pairs = zip(usable[chosen].tolist(), quotas.tolist(), strict=True)
    return SamplePlan({patch: quota for patch, quota in pairs if quota}, seed)
