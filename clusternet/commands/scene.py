"""Write two synthetic overhead scenes with their truth, to try everything on.

    clusternet scene demo/scene

One scene is for training and one is never seen; each has five classes and a nodata corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clusternet.command_line.command import run_command, say
from clusternet.command_line.parser import Parser
from clusternet.files.outputs import check_apart


def build_parser(prog: str | None = None) -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "", prog)
    parser.add_argument("folder", type=Path, metavar="FOLDER",
                        help="gets images/, masks/ and classes.json")  # fmt: skip
    parser.add_config()
    parser.add(("seed",), {"seed": 1})
    parser.add(("overwrite",))
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse, write, and print where the scenes are."""
    args = build_parser(prog).parse_args(argv)

    def command() -> None:
        check_apart((args.folder,), (args.config,))
        from clusternet.demo.scene import write_scenes

        images = write_scenes(args.folder, seed=args.seed, overwrite=args.overwrite)
        say(f"{args.folder}: {', '.join(path.name for path in images)} and their masks")

    run_command(command, args.verbosity)
