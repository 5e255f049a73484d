"""Fine-tune a run: check what is given, open it, and hand it to the algorithm (`loop.py`)."""

from __future__ import annotations

import logging
from pathlib import Path

from clusternet.clustering.kmeans import Codebook
from clusternet.errors import RunError, SettingsError
from clusternet.fine_tuning.class_learner import LABELS, ClassLearner
from clusternet.fine_tuning.first_settings import first_settings
from clusternet.fine_tuning.labelled_data import LabelledData
from clusternet.fine_tuning.loop import fine_tune_network
from clusternet.fine_tuning.patch_labels import PatchLabels, read_patch_labels
from clusternet.labels.rules import LabelOptions
from clusternet.processes.interrupts import interrupts
from clusternet.settings import TrainingSettings
from clusternet.training.backbone import load_backbone, open_new
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.run import Run, load_run
from clusternet.training.run_files import CLASS_HEAD
from clusternet.training.run_outputs import RunOutputs
from clusternet.training.run_writer import RunWriter
from clusternet.training.train import (
    load_checkpoint,
    open_data,
    prepare_backbone,
    weights_file,
)

logger = logging.getLogger(__name__)


@interrupts.listening()
def fine_tune(
    patches: Path,
    labels: Path,
    output: Path,
    settings: TrainingSettings | None = None,
    *,
    pretrained_weights: Path | None = None,
    label_options: LabelOptions | None = None,
    overwrite: bool = False,
    resume: bool = False,
    out_weights_file: Path | None = None,
) -> Path:
    """Train a network on labels, and go on with clusters where there are none.

    Args:
        patches: folder of patches that tools/patch_generator.py cut.
        labels: labels of the scenes that the patches were cut from: a raster or vector file, or a
            folder of files named like the scenes.
        output: the run folder to write. It predicts classes.
        settings: see TrainingSettings; None takes those of `first_settings`.
        pretrained_weights: the run folder to start from. A file of weights works, too, but tells
            nothing of its clusters. None starts from random weights.
        label_options: how labels are read.
        overwrite: replace an existing run folder.
        resume: go on with the fine-tuning in ``output`` from its last complete epoch.
        out_weights_file: where to write the final weights of the U-Net as well (.weights.h5).

    Returns:
        the run folder.

    Raises:
        ClusterNetError: with one clear line, for anything that the caller can mend.
        KeyboardInterrupt: between two steps, after Ctrl-C or another such signal.
    """
    if settings is None:
        settings = first_settings(pretrained_weights)
    outputs = RunOutputs(
        patches,
        output,
        range(1, settings.num_epochs + 1),
        overwrite=overwrite,
        resume=resume,
        pretrained_weights=pretrained_weights,
        labels=labels,
        out_weights_file=out_weights_file,
    )
    with outputs.claimed():
        tune_with(outputs, read_patch_labels(patches, labels, label_options), settings)
    return output


@interrupts.listening()
def tune_with(outputs: RunOutputs, labels: PatchLabels, settings: TrainingSettings) -> None:
    """Fine-tune with labels that have been read, into outputs that are kept for this process."""
    checkpoint = _load(outputs, labels, settings) if outputs.resumes else None
    start = _start(outputs, checkpoint)
    opened = None if checkpoint or start else open_new(settings)  # before patches are read
    data = open_data(outputs, settings, checkpoint)
    folder = data.loader.patches
    if folder.shape != labels.shape:
        raise SettingsError(
            f"--img_shape: resizes patches to {folder.shape}, but --labels lie on patches of "
            f"{labels.shape}; leave it out, and cut patches of the size that is wanted."
        )
    labelled = LabelledData(data, labels)
    logger.info(
        "%d of %d patches have labels of %d classes",
        len(labelled.patches), len(data.survey.usable), len(labels.classes),
    )  # fmt: skip
    if start is None or start.backbone is None:
        backbone = prepare_backbone(outputs.output, data, checkpoint, opened)
    else:  # that of the run, with its own stretch and reduction: its clusters were found with them
        bands, reduction = data.survey.bands, start.stored.reduction
        backbone = load_backbone(start.folder, start.backbone, bands, reduction)
    if not settings.num_epochs:
        logger.info("the class head is fitted; --num_epochs N would train the whole network, too.")
    learner = ClassLearner(
        folder.num_bands, folder.shape, settings, data.loader.batch_size, labels,
        backbone.describer if backbone else None,
    )  # fmt: skip
    if outputs.pretrained_weights is not None and checkpoint is None:
        learner.load_weights(weights_file(outputs.pretrained_weights))
    codebook = None if start is None else _codebook(start, learner)
    writer = RunWriter(
        outputs.output,
        learner,
        data,
        overwrite=outputs.overwrite,
        backbone=backbone,
        classes=learner,
    )
    with writer.writing():
        if checkpoint is not None:
            writer.restore(checkpoint)
        fine_tune_network(learner, labelled, writer, writer.epochs_done, codebook)
    if outputs.out_weights_file is not None:
        learner.save_weights(outputs.out_weights_file, overwrite=outputs.replaces)


def _load(outputs: RunOutputs, labels: PatchLabels, settings: TrainingSettings) -> Checkpoint:
    """Read the checkpoint of a fine-tuning, and refuse labels that it was not started with."""
    if not (outputs.output / CLASS_HEAD).is_file():
        raise RunError(
            f"{outputs.output}: was started without --labels; leave them out to resume it, or name "
            "it as --pretrained_weights of a new run."
        )
    checkpoint = load_checkpoint(outputs.output, settings)
    started_with = checkpoint.arrays.get(LABELS)
    if started_with is None or bytes(started_with).hex() != labels.digest:
        raise RunError(
            f"{outputs.labels}: not the labels that {outputs.output} was started with, or changed "
            "since; cannot resume. Put them back, or start a new run."
        )
    return checkpoint


def _start(outputs: RunOutputs, checkpoint: Checkpoint | None) -> Run | None:
    """Return the run that a new fine-tuning starts from; None if it starts from no run folder."""
    weights = outputs.pretrained_weights
    if checkpoint is not None or weights is None or not weights.is_dir():
        return None
    return load_run(weights)


def _codebook(start: Run, learner: ClassLearner) -> Codebook | None:
    """Return the clusters of the run whose weights the learner has; None if they do not fit."""
    codebook = start.stored.codebook
    if (codebook.num_clusters, len(codebook.offset)) != learner.codebook_size:
        return None
    return codebook
