"""Write whole-raster cluster maps, georeferenced like their rasters.

python tools/full_prediction.py RUN RASTERS --output_folder MAPS
python tools/full_prediction.py RUN RASTERS --output_folder MAPS --confidence --cog
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

from clusternet.commands.predict import build_parser, main

__all__ = ["build_parser", "main"]

if __name__ == "__main__":
    main()
