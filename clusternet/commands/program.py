"""The command `clusternet`: finds the command that was typed and hands over to it."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import NoReturn

import clusternet
from clusternet.command_line.command import print_error
from clusternet.command_line.parser import add_verbosity
from clusternet.commands.table import SUMMARIES, command_module
from clusternet.messages import short_value

_FLAGS = {-1: ["--quiet"], 0: [], 1: ["--verbose"]}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print_error(f"{message} (clusternet --help lists the commands)")
        raise SystemExit(2)


def build_parser() -> argparse.ArgumentParser:
    """Declare what stands before the command."""
    width = max(map(len, SUMMARIES))
    lines = [f"  {name:{width}s}  {summary}" for name, summary in SUMMARIES.items()]
    parser = _Parser(
        prog="clusternet",
        usage="clusternet [-h] [--version] [-v | -q] COMMAND ...",
        description="Segment satellite and aerial images without ground truth.",
        epilog="\n".join(
            ["commands:", *lines, "", "clusternet COMMAND --help tells what a command takes."]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"clusternet {clusternet.__version__}"
    )
    add_verbosity(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that ``argv`` names, with the words after it."""
    words = list(sys.argv[1:] if argv is None else argv)
    place = next((i for i, word in enumerate(words) if not word.startswith("-")), len(words))
    parser = build_parser()
    args = parser.parse_args(words[:place])
    if place == len(words):
        parser.error(f"expected a command: {', '.join(SUMMARIES)}")
    name = words[place]
    if name not in SUMMARIES:
        near = difflib.get_close_matches(name, SUMMARIES, 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        parser.error(f"{short_value(name)} is not a command{hint}")
    command_module(name).main(
        [*_FLAGS[args.verbosity], *words[place + 1 :]], prog=f"clusternet {name}"
    )
