"""The commands in the order of the pipeline. A new one is a module here and a line below."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from clusternet.command_line.parser import Parser

SUMMARIES = {
    "tile": "cut rasters into patches",
    "train": "train on a folder of patches, without labels",
    "predict": "write cluster maps of rasters",
    "classes": "turn cluster maps into class maps by labels or a legend",
    "rasterize": "burn labels drawn as vectors into a raster",
    "evaluate": "score maps against labels, or estimate areas from points",
    "sample": "draw points to validate a class map with",
    "draw": "draw strokes in the browser, or apply strokes drawn before",
    "scene": "write synthetic scenes to try everything on",
    "demo": "run the whole pipeline on a synthetic scene",
    "completion": "print a script that completes commands and flags in a shell",
}
"""What each command does. The module of the same name beside this one is loaded when needed."""


class CommandModule(Protocol):
    """What a module of a command holds."""

    def build_parser(self, prog: str | None = None) -> Parser:
        """Declare the command line; ``prog`` is what was typed to call it."""

    def main(self, argv: Sequence[str] | None = None, prog: str | None = None) -> None:
        """Parse and run."""


def command_module(name: str) -> CommandModule:
    """Load the module of a command."""
    return cast(CommandModule, import_module(f"clusternet.commands.{name}"))
