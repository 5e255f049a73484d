"""Turn cluster maps into class maps by a few labels, or by a legend.

clusternet classes MAPS LABELS --run RUN --output_folder CLASSES
clusternet classes MAPS --legend CLASSES/legend.csv --output_folder OTHER_CLASSES
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clusternet.command_line.command import run_command, say
from clusternet.command_line.executor import executor_of
from clusternet.command_line.options import raster_argument
from clusternet.command_line.parser import Parser
from clusternet.files.outputs import check_apart

_NAMING = ("unlabelled", "rule", "prefer", "keep_clust_threshold", "gt_fraction", "seed")
_LABELS = ("class_field", "layer", "background", "ignore_label")
_POLYGONS = ("polygons", "sieve", "min_area", "simplify")


def build_parser(prog: str | None = None) -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "", prog)
    parser.add_argument(
        "maps", type=raster_argument, metavar="MAPS", help="cluster map, or folder of them"
    )
    parser.add_argument("labels", type=raster_argument, nargs="?", metavar="LABELS",
                        help="label raster or vector file, or a folder of them")  # fmt: skip
    parser.add_config()
    parser.add(("output_folder",), {"output_folder": Path("classes")})
    parser.add(("legend", "run", "rasters", "aoi", "classes"))
    parser.add(_LABELS)
    parser.add(
        _NAMING,
        {"unlabelled": "nearest", "keep_clust_threshold": 0.5,
         "gt_fraction": 1.0, "seed": 1},
    )  # fmt: skip
    parser.add(_POLYGONS, {"sieve": 0, "min_area": 0, "simplify": 0.0})
    parser.add(("overwrite", "ray", "num_workers"))
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse, assign classes, and print what was written."""
    args = build_parser(prog).parse_args(argv)

    def command() -> None:
        check_apart((args.polygons,), (args.config,))
        from clusternet.classes.assign import assign_classes
        from clusternet.legend.class_list import read_class_list

        with executor_of(args, (args.maps, args.labels)) as executor:
            report = assign_classes(
                args.maps,
                args.labels,
                args.output_folder,
                legend=args.legend,
                run=args.run,
                rasters=args.rasters,
                aoi=args.aoi,
                classes=read_class_list(args.classes) if args.classes else None,
                overwrite=args.overwrite,
                executor=executor,
                **{name: getattr(args, name) for name in (*_LABELS, *_NAMING, *_POLYGONS)},
            )
        say(report.summary())

    run_command(command, args.verbosity)
