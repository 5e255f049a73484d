"""Score class maps or cluster maps against labels, and write a report.

clusternet evaluate CLASSES LABELS
clusternet evaluate MAPS LABELS --classes classes.json --labelled_fraction 0.1
clusternet evaluate --history RUN LABELS
clusternet evaluate CLASSES points.gpkg --design stratified
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from clusternet.command_line.command import run_command, say
from clusternet.command_line.executor import executor_of
from clusternet.command_line.options import raster_argument
from clusternet.command_line.parser import Parser
from clusternet.files.outputs import check_apart


def build_parser(prog: str | None = None) -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "", prog)
    parser.add_argument("maps", type=raster_argument, nargs="?", metavar="MAPS",
                        help="a map, or a folder of them; not needed with --history")  # fmt: skip
    parser.add_argument("labels", type=raster_argument, metavar="LABELS",
                        help="label raster or vector file on any grid, or a folder of them "
                        "(matched by base name)")  # fmt: skip
    parser.add_config()
    parser.add(("output_folder", "overwrite", "history", "clusters", "classes"))
    parser.add(
        ("class_field", "layer", "ignore_label", "labelled_fraction", "draws", "seed"),
        {"labelled_fraction": 0.1, "draws": 5, "seed": 1},
    )
    parser.add(
        ("design", "map_field", "area_margin", "accuracy_margin"),
        {"design": "pixels", "area_margin": 0.1, "accuracy_margin": 0.02},
    )
    parser.add(("ray", "num_workers"))
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse, evaluate, and print the scores and where the report is."""
    parser = build_parser(prog)
    args = parser.parse_intermixed_args(argv)  # MAPS may be left out, wherever flags stand
    if args.maps is None and args.history is None:
        parser.error("expected MAPS and LABELS, or --history RUN and LABELS")
    if args.design == "stratified":
        _check_stratified(parser, args)
        run_command(lambda: _assess(args), args.verbosity)
        return

    def command() -> None:
        check_apart((args.output_folder,), (args.config,))
        from clusternet.evaluation.report import evaluate_to_folder

        with executor_of(args, (args.maps, args.labels)) as executor:
            result = evaluate_to_folder(
                args.maps,
                args.labels,
                args.output_folder,
                history=args.history,
                classes=args.classes,
                overwrite=args.overwrite,
                clusters=args.clusters,
                class_field=args.class_field,
                layer=args.layer,
                ignore_label=args.ignore_label,
                labelled_fraction=args.labelled_fraction,
                draws=args.draws,
                seed=args.seed,
                executor=executor,
            )
        say(result)

    run_command(command, args.verbosity)


def _check_stratified(parser: Parser, args: Namespace) -> None:
    """Refuse flags that have no meaning for points."""
    if args.maps is None:
        parser.error("expected MAPS and LABELS with --design stratified")
    for name in ("history", "clusters", "classes", "ignore_label", "ray", "num_workers"):
        if getattr(args, name) is not None:
            parser.error(f"--{name} does not go with --design stratified; leave one of them out")


def _assess(args: Namespace) -> None:
    check_apart((args.output_folder,), (args.config,))
    from clusternet.areas.report import Margins, assess_to_folder

    say(
        assess_to_folder(
            args.maps,
            args.labels,
            args.output_folder,
            margins=Margins(args.area_margin, args.accuracy_margin),
            overwrite=args.overwrite,
            class_field=args.class_field,
            layer=args.layer,
            map_field=args.map_field,
        )
    )
