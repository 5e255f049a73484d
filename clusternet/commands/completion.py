"""Print a script that completes commands, flags and files in a shell.

    clusternet completion bash > ~/.local/share/bash-completion/completions/clusternet
    clusternet completion zsh > ~/.zfunc/_clusternet    # a folder of fpath

A new shell then completes what is typed after clusternet.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from clusternet.command_line.command import run_command
from clusternet.command_line.parser import Parser
from clusternet.commands.table import SUMMARIES, command_module

_SHELLS = ("bash", "zsh", "tcsh")


def build_parser(prog: str | None = None) -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "", prog)
    parser.add_argument("shell", choices=_SHELLS, metavar="SHELL", help=", ".join(_SHELLS))
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Parse, and print the script."""
    args = build_parser(prog).parse_args(argv)

    def command() -> None:
        import shtab

        print(shtab.complete(_all_commands(), args.shell))

    run_command(command, args.verbosity)


def _all_commands() -> argparse.ArgumentParser:
    """Return one parser with all commands, as shtab wants them."""
    import shtab

    from clusternet.commands.program import build_parser as outer_parser

    outer = outer_parser()
    outer.usage = None
    commands = outer.add_subparsers(metavar="COMMAND", parser_class=argparse.ArgumentParser)
    for name, summary in SUMMARIES.items():
        inner = command_module(name).build_parser(f"clusternet {name}")
        for action in inner.actions:
            if action.type is Path or action.dest == "config":
                action.complete = shtab.FILE  # type: ignore[attr-defined]
        commands.add_parser(name, parents=[inner], add_help=False, help=summary)
    return outer
