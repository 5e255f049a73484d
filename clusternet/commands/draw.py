"""Draw a few strokes for each class, and the class map follows at once, in the browser.

clusternet draw RUN RASTER
clusternet draw RUN FOLDER
clusternet draw RUN RASTER --strokes strokes.gpkg --output classes.tif
clusternet draw RUN OTHER --strokes strokes.gpkg --drawn_on RASTER --output classes.tif

With --output no browser is needed: the class map is made from strokes that exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clusternet.command_line.command import run_command, say
from clusternet.command_line.options import raster_argument
from clusternet.command_line.parser import Parser
from clusternet.files.outputs import check_apart

_OUTPUTS = ("polygons", "sieve", "min_area", "simplify", "certainty", "class_table")


def build_parser(prog: str | None = None) -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "", prog)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder written by main.py")
    parser.add_argument(
        "raster", type=raster_argument, nargs="+", metavar="RASTER",
        help="the scene to draw on, or several rasters or a folder of the same run",
    )  # fmt: skip
    parser.add_config()
    parser.add(("strokes",))
    parser.add_argument(
        "--output", type=Path, metavar="PATH",
        help="class map to write (.tif) from --strokes, without a browser",
    )  # fmt: skip
    parser.add(("stroke_rule", "smooth"), {"stroke_rule": "perceptron", "smooth": 17})
    parser.add(("drawn_on", "class_field", "layer"))
    parser.add(_OUTPUTS, {"sieve": 0, "min_area": 0, "simplify": 0.0})
    parser.add(("overwrite", "cache_folder"))
    parser.add(
        ("backdrop", "host", "port", "browser"),
        {"host": "127.0.0.1", "port": 8080, "browser": True},
    )
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse, then serve the page, or write a class map and print what is in it."""
    parser = build_parser(prog)
    args = parser.parse_args(argv)
    if args.output is None:
        given = [name for name in ("drawn_on", *_OUTPUTS, "overwrite") if getattr(args, name)]
        if given:
            parser.error(f"--{given[0]} goes with --output")
    elif args.backdrop is not None:
        parser.error("--backdrop goes with the page, without --output")
    if args.strokes is None and (args.class_field or args.layer):
        parser.error("--class_field and --layer go with --strokes")
    if args.smooth < 1:
        parser.error(f"--smooth: expected at least 1 pixel, found {args.smooth}")
    if args.output is not None and args.strokes is None:
        parser.error("--output needs --strokes, the file of strokes to apply")
    if args.output is not None and len(args.raster) > 1:
        parser.error(f"--output is the map of one raster, found {len(args.raster)}; name one")

    def command() -> None:
        outputs = (args.output, args.polygons, args.certainty, args.class_table)
        check_apart(outputs, (args.config,))
        if args.output is None:
            from clusternet.interactive.app import PageOptions, serve

            page = PageOptions(
                args.strokes, args.class_field, args.layer, args.stroke_rule, args.smooth,
                args.cache_folder, args.host, args.port, args.browser, args.backdrop,
            )  # fmt: skip
            serve(
                args.run, args.raster, page,
                announce=lambda address: say(f"{address} (Ctrl-C ends)", now=True),
            )  # fmt: skip
            return
        from clusternet.classes.batch import BatchOptions, apply_strokes
        from clusternet.classes.export import Export
        from clusternet.classes.polygons import PolygonOptions

        export = Export(
            args.output,
            polygons=args.polygons,
            legend=args.output.with_name(f"{args.output.stem}_legend.csv"),
            certainty=args.certainty,
            table=args.class_table,
            polygon_options=PolygonOptions(args.sieve, args.min_area, args.simplify),
            overwrite=args.overwrite,
        )
        options = BatchOptions(
            args.stroke_rule, args.smooth, args.drawn_on, args.class_field, args.layer,
            args.cache_folder,
        )  # fmt: skip
        say(apply_strokes(args.run, args.raster[0], args.strokes, export, options).summary())

    run_command(command, args.verbosity)
