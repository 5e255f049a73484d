"""The command `clusternet`, which is also `python -m clusternet`."""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts


def run() -> None:
    """Run the command that was typed."""
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too
    from clusternet.commands.program import main

    main()


if __name__ == "__main__":
    run()
