"""Draw a stratified random sample of points, to validate a class map with.

clusternet sample CLASSES/scene_classes.tif --per_class 50 --output points.gpkg
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clusternet.command_line.command import run_command, say
from clusternet.command_line.options import raster_argument
from clusternet.command_line.parser import Parser
from clusternet.files.outputs import check_apart

_DEFAULTS = {
    "per_class": 50, "min_distance": 0.0, "seed": 1, "map_field": "map_class",
    "hide_map_class": True,
}  # fmt: skip


def build_parser(prog: str | None = None) -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "", prog)
    parser.add_argument("maps", type=raster_argument, metavar="MAP",
                        help="a class map, or a folder of them in one CRS")  # fmt: skip
    parser.add_config()
    parser.add_argument("--output", type=Path, metavar="PATH", required=True,
                        help="GeoPackage to write")  # fmt: skip
    parser.add(tuple(_DEFAULTS), _DEFAULTS)
    parser.add(("overwrite",))
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse, draw, and print how many points were written."""
    args = build_parser(prog).parse_args(argv)

    def command() -> None:
        check_apart((args.output,), (args.config,))
        from clusternet.areas.sampling import SampleOptions, sample_points

        options = SampleOptions(args.per_class, args.min_distance, args.seed)
        say(
            sample_points(
                args.maps, args.output, options, map_field=args.map_field,
                hide=args.hide_map_class, overwrite=args.overwrite,
            )
        )  # fmt: skip

    run_command(command, args.verbosity)
