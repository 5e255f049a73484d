"""Train on a folder of patches, without labels.

    clusternet train PATCHES
    clusternet train PATCHES --config configs/demo.yaml --output runs/mine
    clusternet train PATCHES --output runs/mine --resume

Writes a run folder with the network, the codebook, previews and the history of the epochs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from clusternet.command_line.command import load_network_library, run_command, say
from clusternet.command_line.options import training_defaults, training_settings
from clusternet.command_line.parser import Parser
from clusternet.files.outputs import check_apart
from clusternet.settings import TrainingSettings

PATH_OPTIONS = (
    "output", "test_img_folder", "out_pred_masks_test", "pretrained_weights", "out_weights_file",
)  # fmt: skip
_OPTIONS = ("overwrite", "resume", *PATH_OPTIONS[1:])


def build_parser(prog: str | None = None) -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "", prog)
    parser.add_argument("patches", type=Path, metavar="PATCHES",
                        help="folder of patches, one folder level deeper")  # fmt: skip
    parser.add_config()
    parser.add(PATH_OPTIONS)
    parser.add(("overwrite", "resume"))
    parser.add(("current_epoch",), {"current_epoch": 0})
    parser.add([field.name for field in fields(TrainingSettings)], training_defaults())
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse, train, and print where the run is."""
    parser = build_parser(prog)
    args = parser.parse_args(argv)
    output = args.output or Path("runs") / Path(os.path.realpath(args.patches)).name

    def command() -> None:
        from clusternet.training.run_outputs import RunOutputs

        if args.resume:
            from clusternet.training.run import saved_settings

            # what the run was started with stands, unless a flag or file says otherwise
            parser.set_defaults(**saved_settings(output))
            args.__dict__.update(vars(parser.parse_args(argv)))
        check_apart((output, args.out_weights_file, args.out_pred_masks_test), (args.config,))
        settings = training_settings(args)
        options = {name: getattr(args, name) for name in _OPTIONS}
        epochs = range(args.current_epoch + 1, settings.num_epochs + 1)
        RunOutputs(args.patches, output, epochs, **options).check()
        load_network_library()
        from clusternet.training.train import train

        train(args.patches, output, settings, current_epoch=args.current_epoch, **options)
        say(f"{output}: run folder written; previews in {output / 'previews'}")

    run_command(command, args.verbosity)
