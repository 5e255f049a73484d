"""Write whole-raster cluster maps, or class maps of a fine-tuned run, on the grids of rasters.

clusternet predict RUN RASTERS --output_folder MAPS
clusternet predict RUN RASTERS --output_folder MAPS --confidence --cog
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clusternet.command_line.command import run_command, say
from clusternet.command_line.executor import executor_of
from clusternet.command_line.options import raster_argument
from clusternet.command_line.parser import Parser


def build_parser(prog: str | None = None) -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "", prog)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder written by main.py")
    parser.add_argument("rasters", type=raster_argument, nargs="+", metavar="RASTERS",
                        help="rasters, folders, addresses, or text files that list "
                        "them")  # fmt: skip
    parser.add_config()
    parser.add(("output_folder",), {"output_folder": Path("maps")})
    parser.add(
        ("assign", "window_size", "precision", "confidence", "features", "cog"),
        {"precision": "auto", "confidence": False,
         "features": False, "cog": False},
    )  # fmt: skip
    parser.add(("aoi", "mosaic", "overwrite", "skip_existing", "ray", "num_workers"))
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse, predict, and print what was written."""
    args = build_parser(prog).parse_args(argv)

    def command() -> None:
        from clusternet.prediction.map_outputs import MapOptions, check_first_raster, claim_maps

        options = MapOptions(
            confidence=args.confidence,
            features=args.features,
            cog=args.cog,
            aoi=args.aoi,
            mosaic=args.mosaic,
            overwrite=args.overwrite,
            skip_existing=args.skip_existing,
        )
        claim = claim_maps(args.run, args.rasters, args.output_folder, options, args.assign)
        inputs, outputs = (args.run, *args.rasters, args.aoi), (args.output_folder,)
        with claim as wanted, executor_of(args, inputs, outputs) as executor:
            from clusternet.prediction.maps import predict_maps
            from clusternet.prediction.predictor import load
            from clusternet.prediction.remote import RemotePredictor
            from clusternet.training.run import load_run

            run = load_run(args.run)
            check_first_raster(wanted, run)
            how = {name: getattr(args, name) for name in ("assign", "precision", "window_size")}
            predictor = (
                load(args.run, **how) if executor is None else RemotePredictor(run, executor, **how)
            )
            say(predict_maps(predictor, wanted, options).summary())

    run_command(command, args.verbosity)
