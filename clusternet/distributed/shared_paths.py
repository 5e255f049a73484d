"""What all nodes of a cluster must see under the same path."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clusternet.locations import SourcePath


@dataclass(frozen=True)
class SharedPaths:
    """Inputs and outputs of a command; None stands for what is not given."""

    inputs: tuple[Path | None, ...] = ()
    outputs: tuple[Path | None, ...] = ()

    def seen(self) -> list[str]:
        """Return what every node must see: files and folders that exist on this machine."""
        return _existing((*self.inputs, *self.outputs))

    def written(self) -> list[str]:
        """Return the folders that exist and that outputs go to."""
        return _existing(self.outputs)


def _existing(paths: Iterable[Path | None]) -> list[str]:
    """Return full paths, each as far down as it exists; addresses have none."""
    local = [
        file
        for path in paths if path is not None
        for file in (path.files if isinstance(path, SourcePath) else (path,))
    ]  # fmt: skip
    return sorted({os.path.realpath(_nearest(path)) for path in local})


def _nearest(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    whole = Path.cwd() / path
    return next((each for each in (whole, *whole.parents) if each.exists()), whole)
