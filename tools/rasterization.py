"""Burn labels drawn as vectors into a raster on the grid of another one.

python tools/rasterization.py VECTORS REFERENCE_RASTER OUTPUT --class_field landuse
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

from clusternet.commands.rasterize import build_parser, main

__all__ = ["build_parser", "main"]

if __name__ == "__main__":
    main()
