"""Score maps of labelled scenes that were learned without the labels, beside other methods.

python benchmarks/quality.py DATA [--hold_out tile7 tile8] [--methods ...] [--output_folder quality]

DATA holds ``images/``, ``masks/`` of the same names with one class number a pixel (255: no
label), and ``classes.json``. Training sees the images alone. Each method describes every pixel by
a vector; vectors are clustered; and then

  a  100 clusters are named by the majority of a share of the blocks of 128 x 128 pixels; the other
     blocks are scored, five draws
  b  as many clusters as classes are paired with classes one to one
  c  normalised mutual information of the 100 clusters and the classes
  d  a simulated user draws strokes, one a class a round, in the largest wrong region of the class

Methods:
  bands        the bands as they are
  filters      fixed filters at three scales, as pixel classifiers use them
  weighted     the fixed filters and the weighting of the default settings, without a network
  forest       a random forest on the fixed filters, trained on the same labels
  random       the U-Net with random weights
  published    configs/official.yaml
  untrained    the default settings before the first step
  default      the default settings, or those of --config
  supervised   the same network trained on a tenth of the labels

Results are added to those in the output folder: methods can be run one after the other.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from measures.isolation import CORES
from scoring.report import format_tables, load_rows, save_picture, save_rows
from scoring.rows import METHODS, Benchmark, check_patch_size, method_rows
from scoring.scenes import find_scenes, read_classes

from clusternet.errors import OutputError
from clusternet.files import new_file
from clusternet.options import run_command

_ONE_FOLDER = ("data", "hold_out", "downscale", "every", "patch_size", "step")
"""Options that all rows of a folder share: its patches and runs were made with them."""
_OPTIONS = "options.json"


def facts(args: argparse.Namespace) -> dict[str, Any]:
    """Return what one has to know of the rows: options, machine, date, versions."""
    names = ("keras", "tensorflow-cpu", "faiss-cpu", "numpy", "scikit-learn")
    return {
        "options": {name: str(value) for name, value in vars(args).items()},
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {CORES} cores",
        "versions": {name: metadata.version(name) for name in names},
    }


def number(text: str) -> int:
    """Return a whole number above 0, as all of this script are."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {text}")
    return int(text)


def common_options(args: argparse.Namespace) -> str:
    """Return as JSON what all rows of the output folder have in common.

    Raises:
        OutputError: if the folder holds rows, patches or runs of other scenes.
    """
    path = args.output_folder / _OPTIONS
    values = {name: getattr(args, name) for name in _ONE_FOLDER}
    text = json.dumps(values | {"data": str(args.data.resolve())}, indent=1) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise OutputError(
            f"{args.output_folder}: holds results with other values of one of --"
            f"{', --'.join(_ONE_FOLDER[1:])}, or of other data (see {_OPTIONS}); choose another "
            "--output_folder."
        )
    return text


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("data", type=Path, help="folder with images/, masks/, classes.json")
    add("--output_folder", type=Path, default=Path("quality"))
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    add("--seeds", nargs="+", type=number, default=[1, 2, 3], help="of training and K-Means")
    add("--hold_out", nargs="+", default=[], metavar="START",
        help="scenes whose names begin so are kept from training and scored apart")  # fmt: skip
    add("--config", type=Path, help="settings of the row default, instead of the defaults")
    add("--downscale", type=number, default=1, help="shrink scenes by this factor first")
    add("--every", type=number, default=1, help="take every so many-th scene only")
    add("--patch_size", type=number, default=256)
    add("--step", type=int, default=4, choices=(1, 2, 4, 8, 16),
        help="score every so many-th row and column")  # fmt: skip
    add("--draws", type=number, default=5)
    add("--published_epochs", type=number, default=10)
    add("--published_base_filters", type=number, help="instead of the published 64")
    add("--supervised_steps", type=number, default=1000)
    add("--rounds", type=number, default=12, help="of strokes, at most")
    add("--stroke_side", type=number, default=512, help="pixels of a square that is drawn on")
    add("--shown", type=number, default=8, help="scenes for strokes and pictures")
    return parser


def main() -> None:
    """Run the methods asked for, and write what was found after each."""
    args = make_parser().parse_args()
    run_command(lambda: measure(args))


def measure(args: argparse.Namespace) -> None:
    """Score the methods that ``args`` name.

    Raises:
        ClusterNetError: if the data cannot be used, or results cannot be written.
    """
    for method in args.methods:
        check_patch_size(args, method)
    classes = read_classes(args.data)
    options = common_options(args)
    scenes = find_scenes(
        args.data, args.output_folder / "work", downscale=args.downscale,
        hold_out=args.hold_out, every=args.every,
    )  # fmt: skip
    bench = Benchmark(args, scenes, classes)
    bench.check_labels()
    with new_file(args.output_folder / _OPTIONS) as part:  # from here on there is work to keep
        part.write_text(options, encoding="utf-8")
    rows = load_rows(args.output_folder)
    for method in args.methods:
        found = method_rows(bench, method)
        rows = [row for row in rows if row["method"] != method] + found
        rows.sort(key=lambda row: METHODS.index(row["method"]))
        save_rows(args.output_folder, rows, facts(args))
    for index in bench.shown:
        maps = {name: found[index] for name, found in bench.maps.items()}
        truth = scenes[index].truth(len(classes))
        save_picture(args.output_folder / "maps", scenes[index], truth, maps, len(classes))
    print(format_tables(rows))


if __name__ == "__main__":
    main()
