"""Burn labels drawn as vectors into a raster on the grid of another one.

clusternet rasterize VECTORS REFERENCE_RASTER OUTPUT --class_field landuse
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clusternet.command_line.command import run_command, say
from clusternet.command_line.options import raster_argument
from clusternet.command_line.parser import Parser
from clusternet.files.outputs import check_apart

_OPTIONS = ("class_field", "burn_value", "layer", "order_field", "background", "all_touched")


def build_parser(prog: str | None = None) -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "", prog)
    parser.add_argument("vectors", type=Path, metavar="VECTORS",
                        help="shapefile, GeoPackage or GeoJSON, in any CRS")  # fmt: skip
    parser.add_argument("reference", type=raster_argument, metavar="REFERENCE_RASTER",
                        help="raster whose grid the labels get")  # fmt: skip
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="GeoTIFF to write")
    parser.add_config()
    parser.add(("classes",))
    parser.add(_OPTIONS, {"all_touched": False})
    parser.add(("overwrite",))
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse, burn, and print what was written."""
    args = build_parser(prog).parse_args(argv)

    def command() -> None:
        check_apart((args.output,), (args.config,))
        from clusternet.labels.rasterization import rasterize_labels
        from clusternet.legend.class_list import read_class_list

        options = {name: getattr(args, name) for name in _OPTIONS}
        classes = read_class_list(args.classes) if args.classes else None
        say(
            rasterize_labels(
                args.vectors, args.reference, args.output, classes=classes,
                overwrite=args.overwrite, **options,
            )
        )  # fmt: skip

    run_command(command, args.verbosity)
