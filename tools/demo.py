"""Run the whole pipeline on a synthetic scene, command by command.

    python tools/demo.py
    python tools/demo.py --output demo --num_epochs 10

Every command is printed as one would type it. Takes a few minutes on two CPU cores.
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from clusternet.command_line.options import Parser, run_command
from clusternet.files.locks import claimed
from clusternet.files.outputs import check_new
from clusternet.processes.waiting import run_command_line

ROOT = Path(__file__).resolve().parents[1]
CONFIG = "configs/demo.yaml"


def build_parser() -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "")
    parser.add_argument(
        "--output", type=Path, metavar="PATH", default=Path("demo"),
        help="folder for the scene and all that is made of it (default: demo)",
    )  # fmt: skip
    parser.add(("num_epochs",))
    parser.add(("overwrite",))
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, run all steps, and print the scores and where the pictures are."""
    args = build_parser().parse_args(argv)
    run_command(lambda: demonstrate(args.output, args.num_epochs, overwrite=args.overwrite))


def demonstrate(folder: Path, num_epochs: int | None, *, overwrite: bool) -> None:
    """Run the commands of the README in ``folder``."""
    folder = folder if Path.cwd() == ROOT else folder.resolve()
    from clusternet.demo.scene import DEMO

    with claimed(folder):
        check_new(folder, kind=DEMO, overwrite=overwrite, hint="make clean, or --overwrite")
        run_all(folder, num_epochs, overwrite=overwrite)


def run_all(folder: Path, num_epochs: int | None, *, overwrite: bool) -> None:
    """Run the commands one after the other."""
    scene, patches, run = folder / "scene", folder / "patches", folder / "run"
    maps, classes = folder / "maps", folder / "classes"
    begin = time.monotonic()
    again = ["--overwrite"] if overwrite else []
    epochs = [] if num_epochs is None else ["--num_epochs", num_epochs]
    step("tools/make_scene.py", scene, *again)
    step("tools/patch_generator.py", scene / "images" / "train.tif",
         "--output_folder", patches, "--patch_shape", 128, 128, *again)  # fmt: skip
    step("main.py", patches, "--config", CONFIG, "--output", run, *epochs, *again)
    step("tools/full_prediction.py", run, scene / "images", "--output_folder", maps, *again)
    step("tools/clusters2classes.py", maps, scene / "labels.gpkg",
         "--run", run, "--output_folder", classes, *again)  # fmt: skip
    with interrupts.listening():
        report(folder, scene, run, maps, classes, overwrite=overwrite)
    print(f"done in {time.monotonic() - begin:.0f} s")


def step(script: str, *args: object) -> None:
    """Print a command as one would type it, and run it; end where it fails."""
    words = [script, *(str(arg) for arg in args)]
    print(f"\n$ python {' '.join(words)}", flush=True)
    status = run_command_line([sys.executable, *words], ROOT)
    if status:
        raise SystemExit(status)


def report(
    folder: Path, scene: Path, run: Path, maps: Path, classes: Path, *, overwrite: bool
) -> None:
    """Print scores beside K-Means on the bands, and draw the scenes."""
    from clusternet.demo.comparison import compare_with_bands, draw_scenes
    from clusternet.training.run import load_run

    clusters = load_run(run).settings.num_clusters
    print(f"\n{clusters} clusters named by a tenth of the truth, scored on the rest:")
    bands = folder / "bands"
    for score in compare_with_bands(scene, maps, bands, clusters, overwrite=overwrite):
        print(f"  {score.scene:7s} {score.features:20s} accuracy {score.accuracy:.3f}  "
              f"mean IoU {score.mean_iou:.3f}")  # fmt: skip
    for path in draw_scenes(scene, maps, classes, folder / "pictures", overwrite=overwrite):
        print(f"look at {path}")
    print(f"look at {run / 'previews'} (an image an epoch), and open {classes} in QGIS")


if __name__ == "__main__":
    main()
