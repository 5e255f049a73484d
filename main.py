"""Train on a folder of patches, without labels.

    python main.py PATCHES
    python main.py PATCHES --config configs/demo.yaml --output runs/mine
    python main.py PATCHES --output runs/mine --resume

Writes a run folder with the network, the codebook, previews and the history of the epochs.
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

from clusternet.commands.train import build_parser, main

__all__ = ["build_parser", "main"]

if __name__ == "__main__":
    main()
