"""Draw a stratified random sample of points, to validate a class map with.

python tools/sample.py CLASSES/scene_classes.tif --per_class 50 --output points.gpkg
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

from clusternet.commands.sample import build_parser, main

__all__ = ["build_parser", "main"]

if __name__ == "__main__":
    main()
