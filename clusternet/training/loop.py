"""The alternation: cluster pixel features, train on the clusters, repeat (docs/method.md).

`Training.epoch` is the algorithm box of the paper.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tensorboard.summary import Writer

from clusternet.clustering.kmeans import Clustering
from clusternet.clustering.sampling import Sample, SamplePlan, join_samples, plan_sample
from clusternet.errors import RunError
from clusternet.files.outputs import NewFolder, readable_os_errors
from clusternet.metrics import contingency_table, nmi
from clusternet.patches.augmentation import augment
from clusternet.patches.batches import BatchLoader
from clusternet.patches.survey import Survey
from clusternet.processes.progress import Progress
from clusternet.settings import TrainingSettings
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.learner import Learner
from clusternet.training.previews import epoch_name, preview_choice, write_patch_maps, write_preview
from clusternet.training.pseudo_labels import (
    Labelled,
    cluster_features,
    codebook_labels,
    group_labels,
)
from clusternet.training.run import (
    EpochRecord,
    StoredCodebook,
    save_description,
    save_result,
)
from clusternet.training.run_files import PREVIEWS, RUN, TENSORBOARD
from clusternet.training.run_identity import make_identity
from clusternet.types import IntArray

logger = logging.getLogger(__name__)

MAY_CHANGE = ("num_epochs", "workers")
"""Settings that a resumed run need not share with what it was."""

_SAMPLE, _ORDER, _AUGMENT, _CHOICE = 1, 2, 3, 4  # number the streams of random choices
_SAMPLES_PER_CENTROID = 256  # of the codebook that is kept, where groups take all their pixels


@dataclass
class Training:
    """A run in memory: the network and the codebook that fits it, epoch after epoch."""

    output: Path
    settings: TrainingSettings
    loader: BatchLoader
    survey: Survey
    learner: Learner
    epochs_done: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    test_loader: BatchLoader | None = None
    test_maps: Path = Path("test_maps")
    replaces_maps: bool = False
    is_saved: bool = False
    """True once the run folder holds the work so far."""
    identity: str = ""
    """What all files of the run state, once it has started."""
    waiting: NewFolder | None = None
    """The run folder until it takes the place of an earlier run: once an epoch is complete."""

    @property
    def folder(self) -> Path:
        """Where the run is written."""
        return self.output if self.waiting is None else self.waiting.hidden_path

    def complete(self, checkpoint: Checkpoint | None, *, overwrite: bool) -> None:
        """Start, or go on from a checkpoint, and run the epochs that are left.

        Raises:
            KeyboardInterrupt: if a signal has asked to stop, with words on what is saved.
        """
        try:
            if checkpoint is None:
                self.start(overwrite=overwrite)
            else:
                self.restore(checkpoint)
            self.run()
        except KeyboardInterrupt:
            if self.waiting is not None and RUN.owns(self.output):
                raise KeyboardInterrupt(
                    f"the new run has no complete epoch; {self.output} holds the earlier run."
                ) from None
            if not self.is_saved:
                raise
            raise KeyboardInterrupt(
                f"{self.output} holds epoch {self.epochs_done}, and --resume goes on from there."
            ) from None
        finally:
            if self.waiting is not None:
                self.waiting.discard()

    def start(self, *, overwrite: bool) -> None:
        """Cluster the features of the first weights, and create the run folder."""
        sample = self._embed(self._plan(self.epochs_done))
        self._take_over(cluster_features(sample, self.settings), sample)
        self.identity = self._make_identity()
        replaces = overwrite and RUN.owns(self.output)
        self.waiting = NewFolder(self.output, kind=RUN, overwrite=overwrite)
        with readable_os_errors(self.output):
            save_description(self.folder, self.settings, self.survey.bands, self.identity)
            self._save()
            if not replaces or self.epochs_done >= self.settings.num_epochs:
                self._appear()
            self._show()

    def _make_identity(self) -> str:
        """Tell this run from all that were given anything else; equal runs have equal files."""
        settings = self.settings.to_mapping()
        # 8 in a call is 8.0 on the command line
        kept = [
            (name, float(value) if isinstance(value, int | float) else value)
            for name, value in settings.items()
            if name not in MAY_CHANGE
        ]
        return make_identity(kept, self.survey.bands, self.stored.identity)

    def _appear(self) -> None:
        """Put the run folder in its place, if it is not there yet."""
        if self.waiting is not None:
            self.waiting.prepare()
            self.waiting.put()
            self.waiting = None
        self.is_saved = True

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to the end of the epoch that a checkpoint was written after.

        Raises:
            RunError: if it is of another network, as earlier versions may have written it.
        """
        try:
            self.learner.restore(checkpoint.arrays)
            self.learner.freeze(checkpoint.stored.codebook)
        except (KeyError, ValueError) as error:
            reason = " ".join(str(error).split())[:120]
            raise RunError(
                f"{self.output}: its checkpoint does not fit this version's network ({reason}); "
                "cannot be resumed. Start a new run, or replace this one with --overwrite."
            ) from error
        self.epochs_done, self.history = checkpoint.epoch, list(checkpoint.history)
        self.stored = checkpoint.stored
        self.identity = checkpoint.identity or self._make_identity()
        # the last save may have been cut off after the checkpoint
        save_description(self.output, self.settings, self.survey.bands, self.identity)
        network = self.learner.network
        save_result(self.output, network, self.stored, self.history, self.identity)
        self.is_saved = True
        self._show()  # so may this; it is the same, or what another run left in its place
        logger.info("resumed after epoch %d", self.epochs_done)

    def run(self) -> None:
        """Run the epochs that are left."""
        if self.waiting is not None:  # or its figures would go to the earlier run
            self._report(self.epoch(self.epochs_done + 1))
        tensorboard = Writer(str(self.output / TENSORBOARD))
        try:
            if self.history:  # of a resumed run, whose last epoch may have been cut off before this
                _tell(tensorboard, self.history[-1])
            while self.epochs_done < self.settings.num_epochs:
                record = self.epoch(self.epochs_done + 1)
                self._report(record)
                _tell(tensorboard, record)
        finally:
            tensorboard.close()

    def _report(self, record: EpochRecord) -> None:
        logger.info("epoch %d/%d: %s", record.epoch, self.settings.num_epochs, record)

    def epoch(self, epoch: int) -> EpochRecord:
        """Run one alternation and save what it leaves.

        It trains on the pseudo-labels of the codebook at hand and then clusters the features
        of the new weights. So codebook and weights always fit each other when they are saved,
        and the next epoch starts from them.
        """
        begin = time.monotonic()
        plan = self._plan(epoch)
        losses, before = self._retrain(epoch, plan)
        trained = time.monotonic()
        sample = self._embed(plan)
        # the numbers of groups mean nothing to each other
        start = before if self.settings.cluster_scope == "epoch" else None
        found = cluster_features(sample, self.settings, start)
        self._take_over(found, sample)
        self.epochs_done = epoch
        clusters = self.settings.num_clusters
        record = EpochRecord(
            epoch=epoch,
            loss=float(np.mean(losses)),
            objective=found.objective,
            nmi=nmi(contingency_table(before, found.assignment, clusters, clusters)),
            smallest=int(found.sizes[found.sizes > 0].min()),
            largest=int(found.sizes.max()),
            empty=int((found.sizes == 0).sum()),
            seconds=time.monotonic() - begin,
            patches_per_second=len(self._chosen(epoch)) / (trained - begin),
            steps=len(losses),
        )
        self.history.append(record)
        self._save()
        self._show()
        self._appear()
        return record

    def _retrain(self, epoch: int, plan: SamplePlan) -> tuple[list[float], IntArray]:
        """Pass once over all patches, a step a batch.

        Returns:
            the loss of each step, and the pseudo-labels (samples,) of the planned pixels.
        """
        settings = self.settings
        rng = np.random.default_rng((settings.seed, _AUGMENT, epoch))
        watched: dict[int, IntArray] = {}
        losses: list[float] = []
        total = len(self._chosen(epoch))
        bar = Progress(total=total, desc=f"epoch {epoch}", unit="patch", leave=False)
        with bar:
            for batch, labels in self._labelled(epoch):
                for place, patch in enumerate(batch.indexes.tolist()):
                    if patch in plan.quotas:
                        chosen = plan.positions(patch, batch.valid[place])
                        watched[patch] = labels[place].ravel()[chosen]
                pixels = batch.pixels
                if settings.augment:
                    turn = settings.padding == "same"
                    pixels, labels = augment(pixels, labels, rng, turn=turn)
                losses.append(self.learner.fit(pixels, labels))
                bar.set_postfix(loss=f"{np.mean(losses):.3f}", refresh=False)
                bar.update(len(batch.indexes))
        return losses, np.concatenate([watched[patch] for patch in plan.patches.tolist()])

    def _labelled(self, epoch: int) -> Labelled:
        """Return all patches in random order, with labels that no step of the epoch touches."""
        settings = self.settings
        rng = np.random.default_rng((settings.seed, _ORDER, epoch))
        order = rng.permutation(self.survey.usable[self._chosen(epoch)])
        if settings.cluster_scope == "epoch":  # frozen at the end of the last epoch
            return codebook_labels(self.loader, order, self.learner)
        return group_labels(self.loader, order, self.learner, settings, epoch)

    def _chosen(self, epoch: int) -> NDArray[np.int64]:
        """Choose the patches of an epoch: places in the list of usable ones, ascending."""
        usable, settings = len(self.survey.usable), self.settings
        most = settings.epoch_patches(self.loader.patches.shape, usable)
        count = min(usable, max(most, self.loader.batch_size))  # no fewer than fill a batch
        rng = np.random.default_rng((settings.seed, _CHOICE, epoch))
        return np.sort(rng.choice(usable, count, replace=False))

    def _plan(self, epoch: int) -> SamplePlan:
        """Choose the pixels that are clustered at the end of ``epoch``."""
        settings, chosen = self.settings, self._chosen(epoch)
        per_centroid = settings.samples_per_centroid or _SAMPLES_PER_CENTROID
        return plan_sample(
            self.survey.usable[chosen],
            self.survey.valid_counts[chosen],
            per_centroid * settings.num_clusters,
            settings.sample_patches,
            (settings.seed, _SAMPLE, epoch),
        )

    def _embed(self, plan: SamplePlan) -> Sample:
        """Return the features of the planned pixels."""
        total = len(plan.patches)
        bar = Progress(total=total, desc="embed", unit="patch", leave=False)
        parts = []
        with bar:
            for batch in self.loader.batches(plan.patches):
                parts.append(self.learner.embed_sample(batch, plan))
                bar.update(len(batch.indexes))
        return join_samples(parts)

    def _take_over(self, found: Clustering, sample: Sample) -> None:
        """Make a codebook the one that labels are given by."""
        feature_range = np.percentile(sample.features, (0.5, 99.5), axis=0).astype(np.float32)
        self.stored = StoredCodebook(found.codebook, found.sizes, feature_range)
        self.learner.freeze(found.codebook)

    def _save(self) -> None:
        # the checkpoint first: everything after it can be written again from it
        arrays, history = self.learner.state(), tuple(self.history)
        moment = Checkpoint(self.epochs_done, arrays, self.stored, history, self.identity)
        moment.save(self.folder)
        network = self.learner.network
        save_result(self.folder, network, self.stored, history, self.identity)

    def _show(self) -> None:
        """Write the preview and the maps of the test patches."""
        clusters, name = self.settings.num_clusters, epoch_name(self.epochs_done)
        choice = preview_choice(self.survey.usable)
        path = self.folder / PREVIEWS / f"{name}.png"
        write_preview(path, self.loader, choice, self.learner.label, clusters)
        if self.test_loader is not None and self.epochs_done:
            folder = self._maps_folder() / name
            label, overwrite = self.learner.label, self.replaces_maps
            write_patch_maps(folder, self.test_loader, label, clusters, overwrite=overwrite)

    def _maps_folder(self) -> Path:
        """Return where maps of the test patches go: perhaps into the run, wherever that is."""
        maps, output = (Path(os.path.realpath(path)) for path in (self.test_maps, self.output))
        inside = maps.is_relative_to(output)
        return self.folder / maps.relative_to(output) if inside else self.test_maps


def _tell(tensorboard: Writer, record: EpochRecord) -> None:
    for name in ("loss", "objective", "nmi", "smallest", "largest", "empty"):
        tensorboard.add_scalar(name, getattr(record, name), record.epoch)
    tensorboard.flush()
