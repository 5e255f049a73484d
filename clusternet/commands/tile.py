"""Cut rasters into patches of one size, in a folder for each raster.

clusternet tile RASTERS --output_folder PATCHES --patch_shape 512 512
clusternet tile RASTERS --output_folder PATCHES --masks_folder LABELS --nodata 0

8-bit grey, RGB and RGBA patches are PNG, all others GeoTIFF; patches.json lists them. Label
patches go to PATCHES_masks, centre crops to PATCHES_crops. All cores work unless --workers says
otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from clusternet.command_line.command import run_command, say
from clusternet.command_line.executor import executor_of
from clusternet.command_line.options import raster_argument
from clusternet.command_line.parser import Parser
from clusternet.files.outputs import check_apart
from clusternet.settings import TilingSettings

SETTINGS = {field.name: field.default for field in fields(TilingSettings)}


def build_parser(prog: str | None = None) -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "", prog)
    parser.add_argument("rasters", type=raster_argument, metavar="RASTERS",
                        help="a raster, a folder that is searched with all below, an address "
                        "such as https://host/scene.tif, or a text file that lists any of "
                        "these")  # fmt: skip
    parser.add_config()
    parser.add(("output_folder",), required=True)
    parser.add(("aoi", "masks_folder", "classes", "ignore_label"))
    parser.add(tuple(SETTINGS), SETTINGS)
    parser.add(("workers", "overwrite", "skip_existing", "ray", "num_workers"))
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse, tile, and print what was written."""
    args = build_parser(prog).parse_args(argv)

    def command() -> None:
        check_apart((args.output_folder,), (args.config,))
        settings = TilingSettings.from_mapping({name: getattr(args, name) for name in SETTINGS})
        from clusternet.legend.class_list import read_class_list
        from clusternet.tiling.tile import tile_rasters

        inputs = args.rasters, args.masks_folder, args.aoi
        with executor_of(args, inputs, (args.output_folder,)) as executor:
            report = tile_rasters(
                args.rasters,
                args.output_folder,
                settings,
                masks_folder=args.masks_folder,
                aoi=args.aoi,
                classes=read_class_list(args.classes) if args.classes else None,
                ignore_label=args.ignore_label,
                overwrite=args.overwrite,
                skip_existing=args.skip_existing,
                workers=args.workers,
                executor=executor,
            )
        say(f"{args.output_folder}: {report.summary()}")

    run_command(command, args.verbosity)
