"""Cut rasters into patches of one size, in a folder for each raster.

python tools/patch_generator.py RASTERS --output_folder PATCHES --patch_shape 512 512
python tools/patch_generator.py RASTERS --output_folder PATCHES --masks_folder LABELS --nodata 0

8-bit grey, RGB and RGBA patches are PNG, all others GeoTIFF; patches.json lists them. Label
patches go to PATCHES_masks, centre crops to PATCHES_crops. All cores work unless --workers says
otherwise.
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

from clusternet.commands.tile import build_parser, main

__all__ = ["build_parser", "main"]

if __name__ == "__main__":
    main()
