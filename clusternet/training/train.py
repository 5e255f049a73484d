"""Train a run: check what is given, open it, and hand it to the algorithm (`loop.py`)."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clusternet.backbone.network_files import check_backbone
from clusternet.errors import PatchError, RunError, SettingsError
from clusternet.network.loading import load_network_library
from clusternet.network.sizes import check_shape
from clusternet.patches.bands import Bands
from clusternet.patches.batches import BatchLoader
from clusternet.patches.folder import PatchFolder, open_patches
from clusternet.patches.survey import survey_patches
from clusternet.processes.groups import ALONE, Group, GroupExecutor, Team
from clusternet.processes.interrupts import interrupts
from clusternet.settings import TrainingSettings, same_value
from clusternet.training.backbone_files import StoredBackbone
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.epoch_plan import TrainingData
from clusternet.training.following import Follower
from clusternet.training.loop import alternate
from clusternet.training.run import saved_settings
from clusternet.training.run_files import (
    BANDS,
    CLASS_HEAD,
    MAPS_FOLDER,
    MODEL,
    SETTINGS,
    STATE,
)
from clusternet.training.run_identity import MAY_CHANGE, check_identity
from clusternet.training.run_outputs import RunOutputs
from clusternet.training.run_writer import PatchMaps, RunWriter
from clusternet.training.sharing import TrainingJob, carry_out
from clusternet.windows import Shape

if TYPE_CHECKING:  # they load the network library
    from clusternet.backbone.describing import Describer
    from clusternet.backbone.loading import Opened
    from clusternet.training.backbone import RunBackbone
    from clusternet.training.learner import Learner

logger = logging.getLogger(__name__)

_FEW_STEPS = 20  # in an epoch; the default settings make 30 of patches of up to 512 x 512


@interrupts.listening()
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
    team: Team | None = None,
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
        pretrained_weights: a run folder, its model.keras or a .weights.h5 file to start from.
        out_weights_file: where to write the final weights as well (.weights.h5).
        test_img_folder: patches to write cluster maps of after every epoch.
        out_pred_masks_test: where those maps go; None means ``output/test_maps``.
        team: processes that share each step, see `clusternet.distributed.cluster.ray_team`; None
            trains in this process.

    Returns:
        the run folder.

    Raises:
        ClusterNetError: with one clear line, for anything that the caller can mend.
        KeyboardInterrupt: between two steps, after Ctrl-C or another such signal.
    """
    settings = settings or TrainingSettings()
    if current_epoch < 0:
        raise SettingsError(f"Setting current_epoch: expected 0 or more, received {current_epoch}.")
    outputs = RunOutputs(
        patches,
        output,
        range(current_epoch + 1, settings.num_epochs + 1),
        overwrite=overwrite,
        resume=resume,
        pretrained_weights=pretrained_weights,
        out_weights_file=out_weights_file,
        test_img_folder=test_img_folder,
        out_pred_masks_test=out_pred_masks_test,
    )
    with outputs.claimed():
        carry_out(_train, TrainingJob(outputs, settings, current_epoch), team)
    return output


def _train(group: Group, job: TrainingJob) -> None:
    """Do the part of one process in a training. The first process of a group writes the run."""
    outputs, settings, leads = job.outputs, job.settings, group.rank == 0
    checkpoint = group.once(_checkpoint_of, outputs, settings)
    folder = group.once(_open_patches, outputs.patches, settings)
    weights = given_weights(outputs) if leads and checkpoint is None else None
    test_folder = outputs.test_img_folder if leads else None
    tests = None if test_folder is None else _open_test(test_folder, folder, settings)
    if leads and checkpoint is None:
        check_backbone(settings.backbone)
    load_network_library()  # not before all that is given has been looked at: it takes seconds
    from clusternet.training.backbone import open_new
    from clusternet.training.shared_backbone import share_backbone

    # before patches are read
    opened = open_new(settings) if leads and checkpoint is None else None
    data = _survey(folder, outputs, settings, checkpoint, group)
    prepare = partial(prepare_backbone, outputs.output, checkpoint=checkpoint, opened=opened)
    backbone = share_backbone(prepare, data)
    patch_maps = None if tests is None else _patch_maps(tests, outputs, data)
    learner = _new_learner(data, backbone.describer if backbone else None, weights)
    epochs_done = job.current_epoch
    writer = (
        RunWriter(
            outputs.output,
            learner,
            data,
            epochs_done=epochs_done,
            overwrite=outputs.overwrite,
            patch_maps=patch_maps,
            backbone=backbone,
        )
        if leads
        else Follower(outputs.output, learner, data, epochs_done)
    )
    with writer.writing():
        if checkpoint is not None:
            writer.restore(checkpoint)
        alternate(learner, data, writer, writer.epochs_done)
        writer.write_report()
    if leads and outputs.out_weights_file is not None:
        learner.save_weights(outputs.out_weights_file, overwrite=outputs.replaces)


def _checkpoint_of(outputs: RunOutputs, settings: TrainingSettings) -> Checkpoint | None:
    """Read the checkpoint of the run that is resumed; None if a new run starts."""
    if not outputs.resumes:
        return None
    if (outputs.output / CLASS_HEAD).is_file():
        raise RunError(
            f"{outputs.output}: learns classes; give --labels as when it was started, or start a "
            "new run."
        )
    return load_checkpoint(outputs.output, settings)


def given_weights(outputs: RunOutputs) -> Path | None:
    """Return the file of weights that a new run starts from.

    Raises:
        RunError: if there is none.
    """
    if outputs.pretrained_weights is None:
        return None
    weights = weights_file(outputs.pretrained_weights)
    if not weights.is_file():
        raise RunError(
            f"{weights}: no such file; expected model.keras of a run, or a .weights.h5 file."
        )
    return weights


def _new_learner(data: TrainingData, describer: Describer | None, weights: Path | None) -> Learner:
    """Build the network, with given weights if there are some; the same one in all members."""
    from clusternet.training.learner import Learner

    group, settings, folder = data.group, data.settings, data.loader.patches
    bands, shape = folder.num_bands, folder.shape
    if group.size == 1:
        learner = Learner(bands, shape, settings, data.loader.batch_size, describer)
    else:
        from clusternet.training.group_learner import GroupLearner

        learner = GroupLearner(bands, shape, settings, data.step_size, group, describer)
    if weights is not None:
        learner.load_weights(weights)
    if group.size > 1:
        learner.restore(group.once(learner.state))
    return learner


def weights_file(pretrained_weights: Path) -> Path:
    """Return the file of weights to start from, which may be given as a run folder."""
    return pretrained_weights / MODEL if pretrained_weights.is_dir() else pretrained_weights


def open_data(
    outputs: RunOutputs, settings: TrainingSettings, checkpoint: Checkpoint | None
) -> TrainingData:
    """Open the patches and take their statistics. A resumed run must have its own patches."""
    folder = _open_patches(outputs.patches, settings)
    load_network_library()
    return _survey(folder, outputs, settings, checkpoint)


def _open_patches(patches: Path, settings: TrainingSettings) -> PatchFolder:
    """Open the patches to train on, and check that the network takes their shape."""
    folder = open_patches(
        patches,
        img_shape=settings.img_shape,
        nodata=settings.nodata,
        skip_bad_files=settings.skip_bad_files,
    )
    check_shape(folder.shape, settings.padding)
    return folder


def _survey(
    folder: PatchFolder,
    outputs: RunOutputs,
    settings: TrainingSettings,
    checkpoint: Checkpoint | None,
    group: Group = ALONE,
) -> TrainingData:
    """Take the statistics of the patches. A resumed run must have its own patches."""
    labelled_shape = check_shape(folder.shape, settings.padding)
    survey = survey_patches(
        folder,
        labelled_shape,
        skip_bad_files=settings.skip_bad_files,
        workers=settings.workers,
        executor=None if group.size == 1 else GroupExecutor(group),
    )
    output = outputs.output
    known = None if checkpoint is None else group.once(Bands.load, output / BANDS)
    if known is not None and not survey.bands.same_as(known):
        raise RunError(
            f"{outputs.patches}: not the patches that {output} was trained on, or changed since "
            "(names or pixels); cannot resume. Put them back, or start a new run."
        )
    if checkpoint is not None:
        checkpoint.check_size(output, settings, folder.num_bands)  # before a network is built
    warn_of_few_steps(settings, folder.shape, len(survey.usable))
    batch_size = settings.batch_size(folder.shape, len(survey.usable))
    warn_of_idle_workers(batch_size, group.size)
    each = math.ceil(batch_size / group.size)
    loader = BatchLoader(folder, survey.bands, labelled_shape, each, settings.workers)
    return TrainingData(loader, survey, settings, group)


def prepare_backbone(
    output: Path, data: TrainingData, checkpoint: Checkpoint | None, opened: Opened | None
) -> RunBackbone | None:
    """Fit the backbone of a new run, or load that of a resumed one; None without one."""
    from clusternet.training.backbone import fit_backbone, load_backbone

    if opened is not None:
        return fit_backbone(opened, data)
    if checkpoint is None or data.settings.backbone is None:
        return None
    stored = StoredBackbone.load(output)
    return load_backbone(output, stored, data.survey.bands, checkpoint.stored.reduction)


def _patch_maps(tests: PatchFolder, outputs: RunOutputs, data: TrainingData) -> PatchMaps:
    """Return what maps are written of, and where."""
    folder = outputs.out_pred_masks_test or outputs.output / MAPS_FOLDER
    return PatchMaps(replace(data.loader, patches=tests), folder, outputs.replaces)


def warn_of_few_steps(settings: TrainingSettings, shape: Shape, num_patches: int) -> None:
    """Warn if patches are so large that an epoch has too few steps to learn much.

    Args:
        settings: of the run.
        shape: (rows, cols) of a patch.
        num_patches: that can be trained on; with so few that all are taken nothing is said.
    """
    patches = settings.epoch_patches(shape, num_patches)
    steps = math.ceil(patches / settings.batch_size(shape, num_patches))
    if settings.num_epochs and patches < num_patches and steps < _FEW_STEPS:
        logger.warning(
            "patches of %d x %d make an epoch of %d training steps, where %d or more learn better; "
            "cut smaller ones (tools/patch_generator.py --patch_shape 512 512), lower "
            "--train_batch_size, or raise --epoch_megapixels (0 takes all patches).",
            *shape, steps, _FEW_STEPS,
        )  # fmt: skip


def warn_of_idle_workers(step_size: int, num_workers: int) -> None:
    """Warn if a step has fewer patches than there are workers to share them."""
    if step_size < num_workers:
        logger.warning(
            "a training step has %d patch(es), so %d of %d workers have none; take fewer workers, "
            "or raise --train_batch_size.",
            step_size, num_workers - step_size, num_workers,
        )  # fmt: skip


def load_checkpoint(output: Path, settings: TrainingSettings) -> Checkpoint:
    """Read a checkpoint and refuse settings that would not continue the same run."""
    saved = saved_settings(output)  # a setting that an earlier version did not have: its default
    for name, value in settings.to_mapping().items():
        if name not in MAY_CHANGE and not same_value(saved.get(name), value):
            before = saved.get(name)
            hint = f"leave --{name} out" if before is None else f"set {name} to {before}"
            raise SettingsError(
                f"{output}: was started with {name} {before}, cannot be resumed with {value}; "
                f"{hint}, or start a new run."
            )
    check_identity(output, (SETTINGS, BANDS, STATE))
    return Checkpoint.load(output)


def _open_test(folder: Path, like: PatchFolder, settings: TrainingSettings) -> PatchFolder:
    patches = open_patches(folder, img_shape=like.shape, nodata=settings.nodata)
    if (patches.num_bands, patches.dtype) != (like.num_bands, like.dtype):
        raise PatchError(
            f"{folder}: expected {like.num_bands} band(s) of {like.dtype} like {like.folder}, "
            f"found {patches.num_bands} of {patches.dtype}."
        )
    if not like.identity.agrees_with(patches.identity):
        raise PatchError(
            f"{folder}: its bands are others than those of {like.folder}, or stand in another "
            "order; tile their rasters together, which puts them in one order."
        )
    return patches
