"""Run the whole pipeline on a synthetic scene, command by command.

    clusternet demo
    clusternet demo --output demo --num_epochs 10

Every command is printed as one would type it. Takes a few minutes on two CPU cores.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from clusternet.command_line.command import run_command, say
from clusternet.command_line.parser import Parser
from clusternet.files.locks import claimed
from clusternet.files.outputs import check_new
from clusternet.processes.interrupts import interrupts
from clusternet.processes.waiting import run_command_line

_FLAGS = {-1: ["--quiet"], 0: [], 1: ["--verbose"]}


def build_parser(prog: str | None = None) -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "", prog)
    parser.add_argument(
        "--output", type=Path, metavar="PATH", default=Path("demo"),
        help="folder for the scene and all that is made of it (default: demo)",
    )  # fmt: skip
    parser.add(("num_epochs",))
    parser.add(("overwrite",))
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse, run all steps, and print the scores and where the pictures are."""
    args = build_parser(prog).parse_args(argv)
    flags = _FLAGS[args.verbosity]

    def command() -> None:
        demonstrate(args.output, args.num_epochs, flags, overwrite=args.overwrite)

    run_command(command, args.verbosity)


def demonstrate(
    folder: Path, num_epochs: int | None, flags: Sequence[str] = (), *, overwrite: bool
) -> None:
    """Run the commands of the README in ``folder``, each with ``flags``."""
    from clusternet.demo.scene import DEMO

    with claimed(folder):
        check_new(folder, kind=DEMO, overwrite=overwrite, hint="make clean, or --overwrite")
        run_all(folder, num_epochs, flags, overwrite=overwrite)


def run_all(
    folder: Path, num_epochs: int | None, flags: Sequence[str] = (), *, overwrite: bool
) -> None:
    """Run the commands one after the other."""
    scene, patches, run = folder / "scene", folder / "patches", folder / "run"
    maps, classes = folder / "maps", folder / "classes"
    begin = time.monotonic()
    again = [*flags, *(["--overwrite"] if overwrite else [])]
    epochs = [] if num_epochs is None else ["--num_epochs", num_epochs]
    step("scene", scene, *again)
    step("tile", scene / "images" / "train.tif",
         "--output_folder", patches, "--patch_shape", 128, 128, *again)  # fmt: skip
    step("train", patches, "--config", "demo", "--output", run, *epochs, *again)
    step("predict", run, scene / "images", "--output_folder", maps, *again)
    step("classes", maps, scene / "labels.gpkg",
         "--run", run, "--output_folder", classes, *again)  # fmt: skip
    with interrupts.listening():
        report(folder, scene, run, maps, classes, overwrite=overwrite)
    say(f"done in {time.monotonic() - begin:.0f} s")


def step(name: str, *args: object) -> None:
    """Print a command as one would type it, and run it; end where it fails."""
    words = [name, *(str(arg) for arg in args)]
    say("")
    say(f"$ clusternet {shlex.join(words)}", now=True)
    status = run_command_line([sys.executable, "-m", "clusternet", *words], Path.cwd())
    if status:
        raise SystemExit(status)


def report(
    folder: Path, scene: Path, run: Path, maps: Path, classes: Path, *, overwrite: bool
) -> None:
    """Print scores beside K-Means on the bands, and draw the scenes."""
    from clusternet.demo.comparison import compare_with_bands, draw_scenes
    from clusternet.training.run import load_run

    clusters = load_run(run).settings.num_clusters
    say("")
    say(f"{clusters} clusters named by a tenth of the truth, scored on the rest:")
    bands = folder / "bands"
    for score in compare_with_bands(scene, maps, bands, clusters, overwrite=overwrite):
        say(f"  {score.scene:7s} {score.features:20s} accuracy {score.accuracy:.3f}  "
              f"mean IoU {score.mean_iou:.3f}")  # fmt: skip
    for path in draw_scenes(scene, maps, classes, folder / "pictures", overwrite=overwrite):
        say(f"look at {path}")
    say(f"look at {run / 'previews'} (an image an epoch), and open {classes} in QGIS")
