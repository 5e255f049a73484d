"""What a member of a group does where the first one writes the run folder: nothing, in step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from clusternet.clustering.kmeans import Clustering
from clusternet.clustering.sampling import Sample
from clusternet.patches.batches import Batch
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.epoch_plan import EpochPlan, TrainingData
from clusternet.training.loop import embed
from clusternet.types import IntArray

if TYPE_CHECKING:  # it loads the network library
    from clusternet.training.learner import Learner


class Follower:
    """Stands where the first member has its `RunWriter`, and writes nothing."""

    def __init__(
        self, output: Path, learner: Learner, data: TrainingData, epochs_done: int
    ) -> None:
        """Take the run folder, the member's network and data, and the epochs that are done."""
        self.epochs_done, self._output = epochs_done, output
        self._learner, self._data = learner, data
        self._has_clustered = False

    @contextmanager
    def writing(self) -> Iterator[None]:
        """See `RunWriter`."""
        yield

    def restore(self, checkpoint: Checkpoint) -> None:
        """See `RunWriter`."""
        checkpoint.put_into(self._learner, self._output)
        self.epochs_done = checkpoint.epoch

    def epoch_started(self, plan: EpochPlan) -> None:
        """See `Observer`."""

    def fitted(self, batch: Batch, loss: float) -> None:
        """See `Observer`."""

    def embedded(self, batch: Batch, plan: EpochPlan) -> None:
        """See `Observer`."""

    def clustered(
        self,
        plan: EpochPlan,
        sample: Sample,
        clustering: Clustering,
        labels_before: IntArray | None,
    ) -> None:
        """See `Observer`."""
        self._has_clustered = True

    def write_report(self) -> None:
        """Help to embed the sample that the report of a finished run needs."""
        if not self._has_clustered:
            embed(self._learner, self._data, self._data.plan(self.epochs_done), self)
