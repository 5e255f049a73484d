"""Writes the run folder while the algorithm runs, so that a run can be resumed at any time."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clusternet.clustering.components import fit_components
from clusternet.clustering.kmeans import Clustering
from clusternet.clustering.sampling import Sample
from clusternet.colours import palette
from clusternet.files.outputs import NewFolder, readable_os_errors
from clusternet.patches.batches import Batch, BatchLoader
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.class_head import ClassSide
from clusternet.training.epoch_plan import EpochPlan, TrainingData
from clusternet.training.epoch_progress import EpochProgress
from clusternet.training.epoch_record import EpochRecord
from clusternet.training.gallery import make_gallery
from clusternet.training.loop import embed
from clusternet.training.previews import epoch_name, preview_choice, write_patch_maps, write_preview
from clusternet.training.report import RunFacts, write_report
from clusternet.training.run import save_description, save_result
from clusternet.training.run_files import PREVIEWS, RUN, TENSORBOARD
from clusternet.training.run_identity import run_identity
from clusternet.training.stored_codebook import StoredCodebook
from clusternet.types import IntArray

if TYPE_CHECKING:  # they take long to load
    from tensorboard.summary import Writer

    from clusternet.training.backbone import RunBackbone
    from clusternet.training.learner import Learner

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PatchMaps:
    """The cluster maps of test patches, which are written after every epoch."""

    loader: BatchLoader
    """Of the test patches."""
    folder: Path
    """Gets a folder for each epoch; may be inside the run folder."""
    overwrite: bool
    """Replace maps of an earlier run."""


class RunWriter:
    """Records, saves and shows what the algorithm has done: an `Observer` of it.

    What an epoch leaves is complete in the run folder before the next epoch begins. A new run is
    written beside an earlier one, and takes its place when its first epoch is complete.
    """

    def __init__(
        self,
        output: Path,
        learner: Learner,
        data: TrainingData,
        *,
        epochs_done: int = 0,
        overwrite: bool = False,
        patch_maps: PatchMaps | None = None,
        backbone: RunBackbone | None = None,
        classes: ClassSide | None = None,
    ) -> None:
        """Write nothing yet.

        Args:
            output: the run folder.
            learner: whose weights are saved, and whose labels are drawn.
            data: of the run.
            epochs_done: epochs that count as done.
            overwrite: replace an earlier run.
            patch_maps: maps to write of other patches.
            backbone: of the run.
            classes: of a fine-tuning; its class head is saved, and previews show its classes.
        """
        self.output, self.epochs_done = output, epochs_done
        self.history: list[EpochRecord] = []
        self.stored: StoredCodebook
        self._learner, self._data, self._patch_maps = learner, data, patch_maps
        self._overwrite, self._backbone, self._classes = overwrite, backbone, classes
        self._identity = ""
        rows, cols = data.loader.patches.shape
        self._progress = EpochProgress(data.settings.num_epochs, rows * cols)
        self._last: tuple[EpochPlan, Sample] | None = None  # what was clustered last
        self._waiting: NewFolder | None = None  # until it takes the place of an earlier run
        self._tensorboard: Writer | None = None  # open once the run folder is in its place

    @property
    def folder(self) -> Path:
        """Where the run is written at present."""
        return self.output if self._waiting is None else self._waiting.hidden_path

    @property
    def is_saved(self) -> bool:
        """True once the run folder holds the work so far."""
        return self._tensorboard is not None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Leave things tidy at the end of the block, however it ends.

        Raises:
            KeyboardInterrupt: if a signal has asked to stop, with words on what is saved.
        """
        try:
            yield
        except KeyboardInterrupt:
            self._progress.close_bar()  # or the message would stand behind it
            if self._waiting is not None and RUN.owns(self.output):
                raise KeyboardInterrupt(
                    f"the new run has no complete epoch; {self.output} holds the earlier run."
                ) from None
            if not self.is_saved:
                raise
            raise KeyboardInterrupt(
                f"{self.output} holds epoch {self.epochs_done}, and --resume goes on from there."
            ) from None
        finally:
            self._progress.close_bar()
            if self._waiting is not None:
                self._waiting.discard()
            if self._tensorboard is not None:
                self._tensorboard.close()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to the end of the epoch that a checkpoint was written after.

        Raises:
            RunError: if it is of another network, as earlier versions may have written it.
        """
        checkpoint.put_into(self._learner, self.output)
        self.epochs_done, self.history = checkpoint.epoch, list(checkpoint.history)
        self.stored = checkpoint.stored
        self._identity = checkpoint.identity or self._make_identity()
        # The last save may have been cut off after the checkpoint: write all that follows from it.
        self._describe()
        self._save_result()
        self._open_tensorboard()
        self._show()
        if self.history:
            self._tell_tensorboard(self.history[-1])
        logger.info("resumed after epoch %d", self.epochs_done)

    def epoch_started(self, plan: EpochPlan) -> None:
        """See `Observer`."""
        self._progress.epoch_started(plan)

    def fitted(self, batch: Batch, loss: float) -> None:
        """See `Observer`."""
        self._progress.fitted(batch, loss)

    def embedded(self, batch: Batch, plan: EpochPlan) -> None:
        """See `Observer`."""
        self._progress.embedded(batch, plan)

    def clustered(
        self,
        plan: EpochPlan,
        sample: Sample,
        clustering: Clustering,
        labels_before: IntArray | None,
    ) -> None:
        """See `Observer`."""
        self._progress.close_bar()
        self._last = plan, sample
        feature_range = np.percentile(sample.features, (0.5, 99.5), axis=0).astype(np.float32)
        reduction = self._backbone.describer.reduction if self._backbone else None
        self.stored = StoredCodebook(
            clustering.codebook, clustering.sizes, feature_range, reduction,
            fit_components(sample.features, clustering.codebook),
        )  # fmt: skip
        if labels_before is None:
            self._create_folder()
        else:
            self._end_epoch(self._progress.record(plan, clustering, labels_before))

    def write_report(self) -> None:
        """Write the report of the run as it is now; see `clusternet.training.report`.

        Raises:
            OutputError: if it cannot be written.
        """
        data = self._data
        if self._last is None:  # a run that was finished already
            plan = data.plan(self.epochs_done)
            self._last = plan, embed(self._learner, data, plan, self)
            self._progress.close_bar()
        plan, sample = self._last
        cards = make_gallery(
            data.loader, plan.sample, sample.features, self.stored.codebook, self.stored.sizes
        )
        facts = RunFacts(
            self.output.resolve().name, self.stored.identity, self.history, data.survey.bands,
            len(data.survey.usable),
        )  # fmt: skip
        write_report(self.folder, facts, cards)

    def _create_folder(self) -> None:
        self._identity = self._make_identity()
        replaces = self._overwrite and RUN.owns(self.output)
        self._waiting = NewFolder(self.output, kind=RUN, overwrite=self._overwrite)
        with readable_os_errors(self.output):
            self._describe()
            self._save()
            if not replaces or self.epochs_done >= self._data.settings.num_epochs:
                self._appear()
            self._show()

    def _end_epoch(self, record: EpochRecord) -> None:
        self.epochs_done = record.epoch
        self.history.append(record)
        self._save()
        self._show()
        self._appear()
        logger.info("epoch %d/%d: %s", record.epoch, self._data.settings.num_epochs, record)
        self._tell_tensorboard(record)

    def _make_identity(self) -> str:
        bands = self._data.survey.bands
        return run_identity(self._data.settings, bands, self.stored.identity)

    def _describe(self) -> None:
        bands = self._data.survey.bands
        save_description(self.folder, self._data.settings, bands, self._identity)
        if self._backbone is not None:
            self._backbone.save(self.folder, self._identity)

    def _save(self) -> None:
        # the checkpoint first: everything after it can be written again from it
        arrays, history = self._learner.state(), tuple(self.history)
        checkpoint = Checkpoint(self.epochs_done, arrays, self.stored, history, self._identity)
        checkpoint.save(self.folder)
        self._save_result()

    def _save_result(self) -> None:
        network = self._learner.network
        head = None if self._classes is None else self._classes.class_head()
        save_result(self.folder, network, self.stored, self.history, self._identity, head)

    def _show(self) -> None:
        """Write the preview and the maps of the test patches."""
        clusters, name = self._data.settings.num_clusters, epoch_name(self.epochs_done)
        choice = preview_choice(self._data.survey.usable)
        path = self.folder / PREVIEWS / f"{name}.png"
        if self._classes is None:
            write_preview(path, self._data.loader, choice, self._learner.label, palette(clusters))
        else:
            colours = self._classes.class_head().colours
            write_preview(path, self._data.loader, choice, self._classes.classify, colours)
        maps = self._patch_maps
        if maps is not None and self.epochs_done:
            folder = self._present(maps.folder) / name
            label, overwrite = self._learner.label, maps.overwrite
            write_patch_maps(folder, maps.loader, label, clusters, overwrite=overwrite)

    def _present(self, folder: Path) -> Path:
        """Return the present path of a folder, which may be inside a run folder that waits."""
        real, output = (Path(os.path.realpath(path)) for path in (folder, self.output))
        return self.folder / real.relative_to(output) if real.is_relative_to(output) else folder

    def _appear(self) -> None:
        """Put the run folder in its place, if it is not there yet."""
        if self._waiting is not None:
            self._waiting.prepare()
            self._waiting.put()
            self._waiting = None
            self._open_tensorboard()

    def _open_tensorboard(self) -> None:
        from tensorboard.summary import Writer

        self._tensorboard = Writer(str(self.output / TENSORBOARD))

    def _tell_tensorboard(self, record: EpochRecord) -> None:
        if self._tensorboard is not None:
            for name in ("loss", "objective", "nmi", "smallest", "largest", "empty"):
                self._tensorboard.add_scalar(name, getattr(record, name), record.epoch)
            self._tensorboard.flush()
