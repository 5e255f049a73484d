"""Score class maps or cluster maps against labels, and write a report.

python tools/evaluation.py CLASSES LABELS
python tools/evaluation.py MAPS LABELS --classes classes.json --labelled_fraction 0.1
python tools/evaluation.py --history RUN LABELS
python tools/evaluation.py CLASSES points.gpkg --design stratified
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

from clusternet.commands.evaluate import build_parser, main

__all__ = ["build_parser", "main"]

if __name__ == "__main__":
    main()
