"""The figures of an epoch while it runs, and its progress bars."""

from __future__ import annotations

import time

import numpy as np

from clusternet.clustering.kmeans import Clustering
from clusternet.metrics import contingency_table, nmi
from clusternet.patches.batches import Batch
from clusternet.processes.progress import Progress
from clusternet.training.epoch_plan import EpochPlan
from clusternet.training.run import EpochRecord
from clusternet.types import IntArray


class EpochProgress:
    """Counts steps, adds up losses and draws bars; see `clusternet.training.loop.Observer`."""

    def __init__(self) -> None:
        """Start before the first epoch."""
        self._bar: Progress | None = None
        self._embeds = False  # else it trains
        self._losses: list[float] = []
        self._total_loss = 0.0
        self._begin = self._trained = 0.0  # seconds

    def epoch_started(self, plan: EpochPlan) -> None:
        """Start to count."""
        self._begin = time.monotonic()
        self._losses, self._total_loss = [], 0.0
        self._open_bar(f"epoch {plan.epoch}", len(plan.order))

    def fitted(self, batch: Batch, loss: float) -> None:
        """Count a step.

        Raises:
            KeyboardInterrupt: if a signal has asked to stop.
        """
        self._losses.append(loss)
        self._total_loss += loss
        self._trained = time.monotonic()
        if self._bar is not None:
            mean = self._total_loss / len(self._losses)
            self._bar.set_postfix(loss=f"{mean:.3f}", refresh=False)
            self._bar.update(len(batch.indexes))

    def embedded(self, batch: Batch, plan: EpochPlan) -> None:
        """Count patches that are embedded.

        Raises:
            KeyboardInterrupt: if a signal has asked to stop.
        """
        if not self._embeds:
            self._open_bar("embed", len(plan.sample.patches))
            self._embeds = True
        if self._bar is not None:
            self._bar.update(len(batch.indexes))

    def record(
        self, plan: EpochPlan, clustering: Clustering, labels_before: IntArray
    ) -> EpochRecord:
        """Return the figures of the epoch that ends.

        Args:
            plan: of the epoch.
            clustering: of the sample, at its end.
            labels_before: (samples,) pseudo-labels of the sample in the epoch.
        """
        sizes, num_clusters = clustering.sizes, len(clustering.sizes)
        table = contingency_table(labels_before, clustering.assignment, num_clusters, num_clusters)
        return EpochRecord(
            epoch=plan.epoch,
            loss=float(np.mean(self._losses)),
            objective=clustering.objective,
            nmi=nmi(table),
            smallest=int(sizes[sizes > 0].min()),
            largest=int(sizes.max()),
            empty=int((sizes == 0).sum()),
            seconds=time.monotonic() - self._begin,
            patches_per_second=len(plan.order) / (self._trained - self._begin),
            steps=len(self._losses),
        )

    def close_bar(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._embeds = None, False

    def _open_bar(self, name: str, num_patches: int) -> None:
        self.close_bar()
        self._bar = Progress(total=num_patches, desc=name, unit="patch", leave=False)
