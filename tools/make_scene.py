"""Write two synthetic overhead scenes with their truth, to try everything on.

    python tools/make_scene.py demo/scene

One scene is for training and one is never seen; each has five classes and a nodata corner.
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

from clusternet.commands.scene import build_parser, main

__all__ = ["build_parser", "main"]

if __name__ == "__main__":
    main()
