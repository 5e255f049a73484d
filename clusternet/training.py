"""The alternation: cluster pixel features, train on the clusters, repeat (docs/method.md).

`train` prepares and runs it; `Training.epoch` is the algorithm box of the paper.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tensorboard.summary import Writer
from tqdm import tqdm

from clusternet.alternation import Alternation
from clusternet.bands import Bands
from clusternet.batches import Batch, BatchLoader
from clusternet.clustering import Clustering, Codebook, cluster
from clusternet.errors import OutputError, PatchError, RunError, SettingsError
from clusternet.files import check_new, check_writable, new_folder
from clusternet.interrupts import finish_first
from clusternet.metrics import contingency_table, nmi
from clusternet.network_shape import check_shape
from clusternet.patches import PatchFolder, open_patches
from clusternet.previews import preview_choice, write_patch_maps, write_preview
from clusternet.run import (
    BANDS,
    PREVIEWS,
    SETTINGS,
    STATE,
    TENSORBOARD,
    Checkpoint,
    EpochRecord,
    StoredCodebook,
    save_description,
    save_result,
)
from clusternet.sampling import SamplePlan, plan_sample
from clusternet.settings import TrainingSettings, read_yaml, same_value
from clusternet.survey import Survey, survey_patches
from clusternet.types import FloatArray, IntArray

logger = logging.getLogger(__name__)

_SAMPLE, _ORDER = 1, 2  # number the streams of random choices
_MAY_CHANGE = ("num_epochs", "workers")  # settings that a resumed run need not share


def train(
    patches: Path,
    output: Path,
    settings: TrainingSettings | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    current_epoch: int = 0,
    pretrained_weights: Path | None = None,
    out_weights_file: Path | None = None,
    test_img_folder: Path | None = None,
    out_pred_masks_test: Path | None = None,
) -> Path:
    """Train a network on patches without labels, and write the run folder.

    Args:
        patches: folder of patches, images one folder level deeper.
        output: the run folder to write.
        settings: see TrainingSettings; None takes the defaults.
        overwrite: replace an existing run folder.
        resume: go on with the run in ``output`` from its last complete epoch, with the same
            result as if it had not stopped; start anew if nothing is saved there yet.
        current_epoch: epochs taken as done; counting goes on from there.
        pretrained_weights: a run's model.keras or a .weights.h5 file to start from.
        out_weights_file: where to write the final weights as well (.weights.h5).
        test_img_folder: patches to write cluster maps of after every epoch.
        out_pred_masks_test: where those maps go; None means ``output/test_maps``.

    Returns:
        the run folder.

    Raises:
        ClusterNetError: with one clear line, for anything that the caller can mend.
    """
    settings = settings or TrainingSettings()
    if out_weights_file is not None and not out_weights_file.name.endswith(".weights.h5"):
        raise OutputError(f"{out_weights_file}: expected a name ending in .weights.h5.")
    if current_epoch < 0:
        raise SettingsError(f"Setting current_epoch: expected 0 or more, received {current_epoch}.")
    resume = resume and (output / STATE).is_file()
    if not resume:
        hint = "--overwrite replaces it, --resume goes on with it"
        check_new(output, overwrite=overwrite, hint=hint)
        check_writable(output)
    checkpoint = _load_checkpoint(output, settings) if resume else None

    folder = open_patches(
        patches,
        img_shape=settings.img_shape,
        nodata=settings.nodata,
        skip_bad_files=settings.skip_bad_files,
    )
    labelled_shape = check_shape(folder.shape, settings.padding)
    survey = survey_patches(
        folder, labelled_shape, skip_bad_files=settings.skip_bad_files, workers=settings.workers
    )
    if checkpoint is not None and not survey.bands.same_as(Bands.load(output / BANDS)):
        raise RunError(f"{patches}: not the patches that {output} was trained on; cannot resume.")
    loader = BatchLoader(
        folder, survey.bands, labelled_shape, settings.train_batch_size, settings.workers
    )
    test_loader = None
    if test_img_folder is not None:
        test_loader = replace(loader, patches=_open_test(test_img_folder, folder, settings))

    alternation = Alternation(folder.num_bands, folder.shape, settings)
    if pretrained_weights is not None and checkpoint is None:
        alternation.load_weights(pretrained_weights)
    training = Training(output, settings, loader, survey, alternation, current_epoch)
    training.test_loader = test_loader
    training.test_maps = out_pred_masks_test or output / "test_maps"
    if checkpoint is None:
        training.start(overwrite=overwrite)
    else:
        training.restore(checkpoint)
    training.run()
    if out_weights_file is not None:
        alternation.save_weights(out_weights_file)
    return output


@dataclass
class Training:
    """A run in memory: the network and the codebook that fits it, epoch after epoch."""

    output: Path
    settings: TrainingSettings
    loader: BatchLoader
    survey: Survey
    alternation: Alternation
    epochs_done: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    test_loader: BatchLoader | None = None
    test_maps: Path = Path("test_maps")

    def start(self, *, overwrite: bool) -> None:
        """Cluster the features of the first weights, and create the run folder."""
        features = self._embed(self._plan(self.epochs_done))
        self._take_over(self._cluster(features, None), features)
        with finish_first(), new_folder(self.output, overwrite=overwrite) as part:
            save_description(part, self.settings, self.survey.bands)
            self._save(part)
        self._show()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to the end of the epoch that a checkpoint was written after."""
        self.alternation.restore(checkpoint.arrays)
        self.epochs_done, self.history = checkpoint.epoch, list(checkpoint.history)
        self.stored = checkpoint.stored
        self.alternation.freeze(self.stored.codebook)
        with finish_first():  # the last save may have been cut off after the checkpoint
            save_description(self.output, self.settings, self.survey.bands)
            save_result(self.output, self.alternation.network, self.stored, self.history)
        logger.info("resumed after epoch %d", self.epochs_done)

    def run(self) -> None:
        """Run the epochs that are left."""
        tensorboard = Writer(str(self.output / TENSORBOARD))
        try:
            while self.epochs_done < self.settings.num_epochs:
                record = self.epoch(self.epochs_done + 1)
                logger.info("epoch %d/%d: %s", record.epoch, self.settings.num_epochs, record)
                for name in ("loss", "objective", "nmi", "smallest", "largest", "empty"):
                    tensorboard.add_scalar(name, getattr(record, name), record.epoch)
                tensorboard.flush()
        except KeyboardInterrupt:
            logger.warning(
                "stopped in epoch %d; %s holds epoch %d, and --resume goes on from there.",
                self.epochs_done + 1, self.output, self.epochs_done,
            )  # fmt: skip
            raise
        finally:
            tensorboard.close()

    def epoch(self, epoch: int) -> EpochRecord:
        """Run one alternation and save what it leaves.

        It trains on the pseudo-labels of the codebook at hand and then clusters the features
        of the new weights. So codebook and weights always fit each other when they are saved,
        and the next epoch starts from them.
        """
        begin = time.monotonic()
        plan = self._plan(epoch)
        loss, before = self._retrain(epoch, plan)
        trained = time.monotonic()
        features = self._embed(plan)
        found = self._cluster(features, self.stored.codebook)
        self._take_over(found, features)
        self.epochs_done = epoch
        clusters = self.settings.num_clusters
        record = EpochRecord(
            epoch=epoch,
            loss=loss,
            objective=found.objective,
            nmi=nmi(contingency_table(before, found.assignment, clusters, clusters)),
            smallest=int(found.sizes[found.sizes > 0].min()),
            largest=int(found.sizes.max()),
            empty=int((found.sizes == 0).sum()),
            seconds=time.monotonic() - begin,
            patches_per_second=len(self.survey.usable) / (trained - begin),
        )
        self.history.append(record)
        with finish_first():
            self._save(self.output)
        self._show()
        return record

    def _plan(self, epoch: int) -> SamplePlan:
        """Choose the pixels that are clustered at the end of ``epoch``."""
        settings = self.settings
        per_centroid = settings.samples_per_centroid or 256  # 0 is for groups of patches
        return plan_sample(
            self.survey.usable,
            self.survey.valid_counts,
            per_centroid * settings.num_clusters,
            settings.sample_patches,
            (settings.seed, _SAMPLE, epoch),
        )

    def _embed(self, plan: SamplePlan) -> FloatArray:
        """Return the features of the planned pixels; (samples, features)."""
        batches = self.loader.batches(plan.patches)
        bar = tqdm(total=len(plan.patches), desc="embed", unit="patch", disable=None, leave=False)
        with bar:
            features = []
            for batch in batches:
                features.append(self.alternation.embed_sample(batch, plan))
                bar.update(len(batch.indexes))
        return np.concatenate(features)

    def _cluster(self, features: FloatArray, start: Codebook | None) -> Clustering:
        settings = self.settings
        return cluster(
            features,
            settings.num_clusters,
            iterations=settings.kmeans_iterations,
            seed=settings.seed,
            transform=settings.feature_transform,
            start=start,
        )

    def _retrain(self, epoch: int, plan: SamplePlan) -> tuple[float, IntArray]:
        """Pass once over all patches, a step a batch.

        Returns:
            the mean loss, and the pseudo-labels (samples,) of the planned pixels.
        """
        rng = np.random.default_rng((self.settings.seed, _ORDER, epoch))
        order = rng.permutation(self.survey.usable)
        watched: dict[int, IntArray] = {}
        loss = float("nan")
        self.alternation.start_pass()
        bar = tqdm(total=len(order), desc=f"epoch {epoch}", unit="patch", disable=None, leave=False)
        with bar:
            for batch, labels in self._labelled(order):
                loss = self.alternation.train(batch, labels)
                for place, patch in enumerate(batch.indexes.tolist()):
                    if patch in plan.quotas:
                        chosen = plan.positions(patch, batch.valid[place])
                        watched[patch] = labels[place].ravel()[chosen]
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                bar.update(len(batch.indexes))
        return loss, np.concatenate([watched[patch] for patch in plan.patches.tolist()])

    def _labelled(self, order: NDArray[np.int64]) -> Iterator[tuple[Batch, IntArray]]:
        """Yield every batch with its pseudo-labels, which no training step has touched yet."""
        if self.settings.cluster_scope == "epoch":  # frozen at the end of the last epoch
            for batch in self.loader.batches(order):
                yield batch, self.alternation.label(batch)
            return
        size = self.settings.clust_batch_size
        for first in range(0, len(order), size):
            group = list(self.loader.batches(order[first : first + size]))
            self.alternation.freeze(self._cluster_group(group).codebook)
            self.alternation.reset_optimizer()
            for batch in group:
                yield batch, self.alternation.label(batch)

    def _cluster_group(self, group: list[Batch]) -> Clustering:
        """Cluster a group of patches afresh, as the published code does."""
        features = np.concatenate([self.alternation.embed(batch) for batch in group])
        most = self.settings.samples_per_centroid * self.settings.num_clusters
        if 0 < most < len(features):
            rng = np.random.default_rng((self.settings.seed, _SAMPLE, len(features)))
            features = features[np.sort(rng.choice(len(features), most, replace=False))]
        return self._cluster(features, None)

    def _take_over(self, found: Clustering, features: FloatArray) -> None:
        """Make a codebook the one that labels are given by."""
        feature_range = np.percentile(features, (0.5, 99.5), axis=0).astype(np.float32)
        self.stored = StoredCodebook(found.codebook, found.sizes, feature_range)
        self.alternation.freeze(found.codebook)

    def _save(self, folder: Path) -> None:
        # the checkpoint first: everything after it can be written again from it
        arrays = self.alternation.state()
        Checkpoint(self.epochs_done, arrays, self.stored, tuple(self.history)).save(folder)
        save_result(folder, self.alternation.network, self.stored, self.history)

    def _show(self) -> None:
        """Write the preview and the maps of the test patches."""
        clusters, name = self.settings.num_clusters, f"epoch_{self.epochs_done:03d}"
        choice = preview_choice(self.survey.usable)
        path = self.output / PREVIEWS / f"{name}.png"
        write_preview(path, self.loader, choice, self.alternation.label, clusters)
        if self.test_loader is not None and self.epochs_done:
            folder = self.test_maps / name
            write_patch_maps(folder, self.test_loader, self.alternation.label, clusters)


def _load_checkpoint(output: Path, settings: TrainingSettings) -> Checkpoint:
    """Read a checkpoint and refuse settings that would not continue the same run."""
    saved = read_yaml(output / SETTINGS)
    for name, value in settings.to_mapping().items():
        if name not in _MAY_CHANGE and not same_value(saved.get(name), value):
            raise SettingsError(
                f"{output}: was started with {name} {saved.get(name)}, cannot be resumed with "
                f"{value}; leave --{name} out, or start a new run."
            )
    return Checkpoint.load(output)


def _open_test(folder: Path, like: PatchFolder, settings: TrainingSettings) -> PatchFolder:
    patches = open_patches(folder, img_shape=like.shape, nodata=settings.nodata)
    if (patches.num_bands, patches.dtype) != (like.num_bands, like.dtype):
        raise PatchError(
            f"{folder}: expected {like.num_bands} band(s) of {like.dtype} like {like.folder}, "
            f"found {patches.num_bands} of {patches.dtype}."
        )
    return patches
