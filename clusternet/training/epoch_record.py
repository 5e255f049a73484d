"""The figures of one epoch, which the history of a run keeps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRecord:
    """The figures of one epoch, a row of ``history.csv``."""

    epoch: int
    loss: float
    """Mean cross-entropy of the pseudo-labels, nat."""
    objective: float
    """Mean squared distance of the sampled features to their centroids."""
    nmi: float
    """Normalised mutual information of the sample's clusters before and after the epoch."""
    smallest: int
    """Sampled pixels in the smallest cluster that has any."""
    largest: int
    """Sampled pixels in the largest cluster."""
    empty: int
    """Clusters without a sampled pixel."""
    seconds: float
    """Time the epoch took."""
    patches_per_second: float
    """Patches over the time of the training pass."""
    steps: int = 0
    """Training steps; 0 in runs that did not count them."""

    def __str__(self) -> str:
        """Return the summary line of the epoch."""
        return (
            f"loss {self.loss:.3f}, K-Means objective {self.objective:.4g}, NMI {self.nmi:.3f}, "
            f"clusters smallest {self.smallest} / largest {self.largest} / empty {self.empty}, "
            f"{self.steps} steps in {self.seconds:.1f} s ({self.patches_per_second:.1f} patches/s)"
        )
