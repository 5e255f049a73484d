"""Score clusters that were learned without labels on labelled scenes, beside other methods.

python benchmarks/quality.py DATA [--hold_out tile7 tile8] [--methods ...] [--output_folder quality]

DATA holds ``images/``, ``masks/`` of the same names with one class number a pixel (255: no
label), and ``classes.json``. Training reads the images only. Each method describes every pixel by
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
  forest_smoothed  the same, its maps smoothed like those of clusters2classes.py
  random       the U-Net with random weights
  published    configs/official.yaml
  untrained    the default settings before the first step
  default      the default settings, or those of --config
  auto         what clusters2classes.py --rule auto makes of the run of ``default`` and the labels
  supervised   the same network trained on a tenth of the labels
With --backbone also, unless --methods says otherwise:
  backbone     the features of the pretrained network, reduced and weighted, without a U-Net
  filters+backbone   the same beside the fixed filters
  all          the default settings with the backbone
  forest backbone   a random forest on filters and backbone
  forest all   the same on learned features, too

Results are added to those in the output folder: methods can be run one after the other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scoring.arguments import facts, make_parser, number, prepare
from scoring.backbones import NEED_BACKBONE, check_backbone
from scoring.report import format_tables, load_rows, save_picture, save_rows
from scoring.rows import METHODS, check_patch_size, method_rows

from clusternet.command_line.command import run_command


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, "quality")
    add = parser.add_argument
    add("--methods", nargs="+", choices=METHODS, help="(default: all)")
    add("--backbone", metavar="NETWORK", help="pretrained network, as of main.py")
    add("--backbone_weights", metavar="WEIGHTS", help="its weights, as of main.py")
    add("--config", type=Path, help="settings of the row default, instead of the defaults")
    add("--published_epochs", type=number, default=10)
    add("--published_base_filters", type=number, help="instead of the published 64")
    add("--supervised_steps", type=number, default=1000)
    add("--rounds", type=number, default=12, help="of strokes, at most")
    add("--shown", type=number, default=8, help="scenes for strokes and pictures")
    add("--stroke_side", type=number, default=512, help="pixels of a square that is drawn on")
    args = parser.parse_args()
    if args.methods is None:
        args.methods = [m for m in METHODS if args.backbone or m not in NEED_BACKBONE]
    return args


def main() -> None:
    """Run the methods, and write the results after each."""
    args = parse()
    run_command(lambda: measure(args))


def measure(args: argparse.Namespace) -> None:
    """Score the methods that ``args`` name.

    Raises:
        ClusterNetError: if the data cannot be used, or results cannot be written.
    """
    for method in args.methods:
        check_backbone(method, args.backbone)
        check_patch_size(args, method)
    with prepare(args, "quality.py") as bench:
        rows = load_rows(args.output_folder)
        for method in args.methods:
            found = method_rows(bench, method)
            rows = [row for row in rows if row["method"] != method] + found
            rows.sort(key=lambda row: METHODS.index(row["method"]))
            save_rows(args.output_folder, rows, facts(args))
        for index in bench.shown:
            scene, count = bench.scenes[index], len(bench.classes)
            maps = {name: found[index] for name, found in bench.maps.items()}
            save_picture(args.output_folder / "maps", scene, scene.truth(count), maps, count)
        print(format_tables(rows))


if __name__ == "__main__":
    main()
