"""Train on a folder of patches, without labels; or fine-tune a run on some labels.

    clusternet train PATCHES
    clusternet train PATCHES --config configs/demo.yaml --output runs/mine
    clusternet train PATCHES --output runs/mine --resume
    clusternet train PATCHES --labels LABELS --pretrained_weights runs/mine --output runs/classes

Writes a run folder with the network, the codebook, previews and the history of the epochs. With
--labels the network learns the classes of labelled pixels, and goes on with clusters elsewhere. The
run then predicts classes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusternet.command_line.command import run_command, say
from clusternet.command_line.executor import team_of
from clusternet.command_line.options import training_defaults, training_settings
from clusternet.command_line.parser import Parser
from clusternet.errors import SettingsError
from clusternet.files.outputs import check_apart
from clusternet.network.loading import load_network_library
from clusternet.settings import TrainingSettings

if TYPE_CHECKING:
    from clusternet.training.run_outputs import RunOutputs

PATH_OPTIONS = (
    "output", "test_img_folder", "out_pred_masks_test", "pretrained_weights", "out_weights_file",
)  # fmt: skip
_OPTIONS = ("overwrite", "resume", *PATH_OPTIONS[1:])
_LABEL_OPTIONS = ("classes", "class_field", "layer", "background", "ignore_label")
_WORKERS = ("ray", "num_workers", "min_workers")
_NOT_WITH_LABELS = ("test_img_folder", "out_pred_masks_test")


def build_parser(prog: str | None = None) -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "", prog)
    parser.add_argument("patches", type=Path, metavar="PATCHES",
                        help="folder of patches, one folder level deeper")  # fmt: skip
    parser.add_config()
    parser.add(PATH_OPTIONS)
    parser.add(("overwrite", "resume"))
    parser.add(("labels", *_LABEL_OPTIONS))
    parser.add(("current_epoch",), {"current_epoch": 0})
    parser.add(_WORKERS)
    parser.add([field.name for field in fields(TrainingSettings)], training_defaults())
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse, train, and print where the run is."""
    parser = build_parser(prog)
    args = parser.parse_args(argv)
    output = args.output or Path("runs") / Path(os.path.realpath(args.patches)).name

    def command() -> None:
        from clusternet.training.run_outputs import RunOutputs

        _check_label_options(args)
        _check_workers(args)
        # what the run was started with stands, unless a flag or file says otherwise
        parser.set_defaults(**_settings_of_runs(args, output))
        args.__dict__.update(vars(parser.parse_args(argv)))
        check_apart((output, args.out_weights_file, args.out_pred_masks_test), (args.config,))
        settings = training_settings(args)
        options = {name: getattr(args, name) for name in _OPTIONS}
        epochs = range(args.current_epoch + 1, settings.num_epochs + 1)
        outputs = RunOutputs(args.patches, output, epochs, labels=args.labels, **options)
        if args.labels is not None:
            _fine_tune(args, outputs, settings)
            say(f"{output}: run folder written, which predicts classes")
            return
        outputs.check()
        if args.ray is not None or args.num_workers is not None:
            _check_before_workers(outputs, settings)
        from clusternet.training.train import train

        written = output, args.out_pred_masks_test, args.out_weights_file
        with team_of(args, _inputs(outputs, settings), written) as team:
            train(
                args.patches, output, settings, current_epoch=args.current_epoch, team=team,
                **options,
            )  # fmt: skip
        say(f"{output}: run folder written; previews in {output / 'previews'}")

    run_command(command, args.verbosity)


def _check_label_options(args: argparse.Namespace) -> None:
    if args.labels is None:
        for name in _LABEL_OPTIONS:
            if getattr(args, name) is not None:
                raise SettingsError(f"--{name}: says how labels are read; give --labels, too.")
        return
    for name in _NOT_WITH_LABELS:
        if getattr(args, name) is not None:
            raise SettingsError(
                f"--{name}: writes cluster maps, which --labels does not; leave it out, and write "
                "class maps with clusternet predict."
            )
    if args.current_epoch:
        raise SettingsError("--current_epoch: counts epochs without labels; leave it out.")


def _check_workers(args: argparse.Namespace) -> None:
    from clusternet.distributed.cluster import check_request

    given = [name for name in _WORKERS if getattr(args, name) is not None]
    if given and args.labels is not None:
        raise SettingsError(
            f"--{given[0]}: shares a training without labels only; leave it out, or --labels."
        )
    if given == ["min_workers"]:
        raise SettingsError(
            "--min_workers: says how few workers are enough; give --num_workers or --ray, too."
        )
    check_request(args.ray, args.num_workers, args.min_workers)


def _check_before_workers(outputs: RunOutputs, settings: TrainingSettings) -> None:
    """Refuse what the first worker would refuse; a cluster takes seconds to start."""
    from clusternet.backbone.network_files import check_backbone
    from clusternet.patches.folder import check_has_patches
    from clusternet.training.sharing import check_shareable
    from clusternet.training.train import given_weights

    check_shareable(settings)
    check_has_patches(outputs.patches)
    if not outputs.resumes:
        given_weights(outputs)
        check_backbone(settings.backbone)


def _inputs(outputs: RunOutputs, settings: TrainingSettings) -> tuple[Path | None, ...]:
    """Return what workers read."""
    from clusternet.backbone.network_files import file_of

    inputs = outputs.patches, outputs.test_img_folder, outputs.pretrained_weights
    if settings.backbone is None or outputs.resumes:  # a run keeps its own network
        return inputs
    return *inputs, file_of(settings.backbone)


def _settings_of_runs(args: argparse.Namespace, output: Path) -> dict[str, Any]:
    """Return the settings of the run that is resumed, or that a fine-tuning starts with."""
    if not args.resume and args.labels is None:
        return {}
    from clusternet.training.run import saved_settings

    saved = saved_settings(output) if args.resume else {}
    if saved or args.labels is None:
        return saved
    from clusternet.fine_tuning.first_settings import first_settings

    return first_settings(args.pretrained_weights).to_mapping()


def _fine_tune(args: argparse.Namespace, outputs: RunOutputs, settings: TrainingSettings) -> None:
    """Read the labels, and only then load the network library and train."""
    from clusternet.backbone.network_files import check_backbone
    from clusternet.fine_tuning.patch_labels import read_patch_labels
    from clusternet.labels.rules import LabelOptions
    from clusternet.legend.class_list import ClassList, read_class_list
    from clusternet.training.train import given_weights

    listed = ClassList() if args.classes is None else read_class_list(args.classes)
    check_apart((outputs.output, outputs.out_weights_file), (args.classes,))
    how = {name: getattr(args, name) for name in _LABEL_OPTIONS[1:]}
    with outputs.claimed():
        if not outputs.resumes:
            given_weights(outputs)
            check_backbone(settings.backbone)
        labels = read_patch_labels(args.patches, args.labels, LabelOptions(listed, **how))
        load_network_library()
        from clusternet.fine_tuning.tune import tune_with

        tune_with(outputs, labels, settings)
