"""The figures of an epoch while it runs, and its progress bars."""

from __future__ import annotations

import time

import numpy as np

from clusternet.clustering.kmeans import Clustering
from clusternet.metrics import contingency_table, nmi
from clusternet.patches.batches import Batch
from clusternet.processes.progress import Progress
from clusternet.training.epoch_plan import EpochPlan
from clusternet.training.epoch_record import EpochRecord
from clusternet.types import IntArray


class EpochProgress:
    """Counts steps, adds up losses and draws bars; see `clusternet.training.loop.Observer`."""

    def __init__(self, num_epochs: int = 0, patch_pixels: int = 1) -> None:
        """Start before the first epoch.

        Args:
            num_epochs: the number of the last epoch, to tell how much time is left.
            patch_pixels: pixels of a patch.
        """
        self._num_epochs, self._patch_pixels = num_epochs, patch_pixels
        self._seconds: list[float] = []  # of the epochs that are done
        self._bar: Progress | None = None
        self._embeds = False  # else it trains
        self._first = 0  # the first epoch of this process
        self._losses: list[float] = []
        self._total_loss = 0.0
        self._begin = self._trained = 0.0  # seconds

    def epoch_started(self, plan: EpochPlan) -> None:
        """Start to count."""
        self._begin = time.monotonic()
        self._first = min(self._first, plan.epoch) if self._first else plan.epoch
        self._losses, self._total_loss = [], 0.0
        self._open_bar(f"epoch {plan.epoch}{self._of_all()}", len(plan.order))

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
            self._bar.set_postfix({"loss": f"{mean:.3f}"} | self._left(), refresh=False)
            self._bar.update(batch.num_together * self._patch_pixels)

    def embedded(self, batch: Batch, plan: EpochPlan) -> None:
        """Count patches that are embedded.

        Raises:
            KeyboardInterrupt: if a signal has asked to stop.
        """
        if not self._embeds:
            self._open_bar("embed", len(plan.sample.patches))
            self._embeds = True
        if self._bar is not None:
            self._bar.update(batch.num_together * self._patch_pixels)

    def record(
        self, plan: EpochPlan, clustering: Clustering, labels_before: IntArray
    ) -> EpochRecord:
        """Return the figures of the epoch that ends.

        Args:
            plan: of the epoch.
            clustering: of the sample, at its end.
            labels_before: (samples,) pseudo-labels of the sample in the epoch, negative for none.
        """
        known = labels_before >= 0
        self._seconds.append(time.monotonic() - self._begin)
        sizes, num_clusters = clustering.sizes, len(clustering.sizes)
        table = contingency_table(
            labels_before[known], clustering.assignment[known], num_clusters, num_clusters
        )
        return EpochRecord(
            epoch=plan.epoch,
            loss=float(np.mean(self._losses)),
            objective=clustering.objective,
            nmi=nmi(table),
            smallest=int(sizes[sizes > 0].min()),
            largest=int(sizes.max()),
            empty=int((sizes == 0).sum()),
            seconds=self._seconds[-1],
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
        total = num_patches * self._patch_pixels
        self._bar = Progress(total=total, desc=name, unit="px", unit_scale=True, leave=False)

    def _of_all(self) -> str:
        return f"/{self._num_epochs}" if self._num_epochs else ""

    def _left(self) -> dict[str, str]:
        """Return the time that is left for the whole run, once an epoch has told how long one is.

        Epochs are alike, so the mean of those that are done is a good guess.
        """
        if not self._seconds or not self._num_epochs:
            return {}
        epochs = self._num_epochs - self._first - len(self._seconds) + 1
        seconds = float(np.mean(self._seconds)) * epochs - (time.monotonic() - self._begin)
        return {"run": f"{Progress.format_interval(max(seconds, 0))} left"}
