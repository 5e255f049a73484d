"""Write two synthetic overhead scenes with their truth, to try everything on.

    python tools/make_scene.py demo/scene

One scene is for training and one is never seen; each has five classes and a nodata corner.
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

from collections.abc import Sequence
from pathlib import Path

from clusternet.command_line.options import Parser, run_command, say
from clusternet.files.outputs import check_apart


def build_parser() -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "")
    parser.add_argument("folder", type=Path, metavar="FOLDER",
                        help="gets images/, masks/ and classes.json")  # fmt: skip
    parser.add_config()
    parser.add(("seed",), {"seed": 1})
    parser.add(("overwrite",))
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, write, and print where the scenes are."""
    args = build_parser().parse_args(argv)

    def command() -> None:
        check_apart((args.folder,), (args.config,))
        from clusternet.demo.scene import write_scenes

        images = write_scenes(args.folder, seed=args.seed, overwrite=args.overwrite)
        say(f"{args.folder}: {', '.join(path.name for path in images)} and their masks")

    run_command(command)


if __name__ == "__main__":
    main()
