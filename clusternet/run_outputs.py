"""What a training writes, refused before anything is loaded if it cannot be written."""

from __future__ import annotations

from pathlib import Path

from clusternet.errors import OutputError
from clusternet.files import check_apart, check_new, check_open_folder, check_writable
from clusternet.previews import EPOCH_MAPS, epoch_name
from clusternet.run import RUN, STATE, WEIGHTS


def check_run_outputs(
    patches: Path,
    output: Path,
    *,
    epochs: range,
    overwrite: bool,
    resume: bool,
    pretrained_weights: Path | None = None,
    out_weights_file: Path | None = None,
    test_img_folder: Path | None = None,
    out_pred_masks_test: Path | None = None,
) -> bool:
    """Refuse outputs that exist, that are inputs, or that cannot be written.

    Args:
        patches: see `clusternet.training.train`, as all others but ``epochs``.
        output: the run folder.
        epochs: those that are done after each epoch that may write maps.
        overwrite: replace outputs of ours.
        resume: go on with the run in ``output``; what it has written is replaced.
        pretrained_weights: an input.
        out_weights_file: an output.
        test_img_folder: an input.
        out_pred_masks_test: an output.

    Returns:
        True if there is a run in ``output`` to go on with.

    Raises:
        OutputError: naming the output.
    """
    if out_weights_file is not None and not out_weights_file.name.endswith(".weights.h5"):
        raise OutputError(f"{out_weights_file}: expected a name ending in .weights.h5.")
    check_apart(
        (output, out_weights_file, out_pred_masks_test),
        (patches, test_img_folder, pretrained_weights),
    )
    resumes = resume and (output / STATE).is_file()
    if not resumes:
        hint = "--overwrite replaces it, --resume goes on with it"
        check_new(output, kind=RUN, overwrite=overwrite, hint=hint)
        check_writable(output)
    replaces = overwrite or resumes
    if out_weights_file is not None:
        check_new(out_weights_file, kind=WEIGHTS, overwrite=replaces)
        check_writable(out_weights_file)
    if test_img_folder is not None and out_pred_masks_test is not None:
        for epoch in epochs:
            folder = out_pred_masks_test / epoch_name(epoch)
            check_new(folder, kind=EPOCH_MAPS, overwrite=replaces)
        check_open_folder(out_pred_masks_test)
    return resumes
