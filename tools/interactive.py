"""Draw a few strokes for each class, and the class map follows at once, in the browser.

python tools/interactive.py RUN RASTER
python tools/interactive.py RUN RASTER --strokes strokes.gpkg --output classes.tif
python tools/interactive.py RUN OTHER --strokes strokes.gpkg --drawn_on RASTER --output classes.tif

With --output no browser is needed: the class map is made from strokes that exist.
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

from clusternet.commands.draw import build_parser, main

__all__ = ["build_parser", "main"]

if __name__ == "__main__":
    main()
