"""Run the whole pipeline on a synthetic scene, command by command.

    python tools/demo.py
    python tools/demo.py --output demo --num_epochs 10

Every command is printed as one would type it. Takes a few minutes on two CPU cores.
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

from clusternet.commands.demo import build_parser, main

__all__ = ["build_parser", "main"]

if __name__ == "__main__":
    main()
