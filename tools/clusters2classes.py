"""Turn cluster maps into class maps by a few labels, or by a legend.

python tools/clusters2classes.py MAPS LABELS --run RUN --output_folder CLASSES
python tools/clusters2classes.py MAPS --legend CLASSES/legend.csv --output_folder OTHER_CLASSES
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

from clusternet.commands.classes import build_parser, main

__all__ = ["build_parser", "main"]

if __name__ == "__main__":
    main()
