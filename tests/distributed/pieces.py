"""Pieces of work for the workers of a cluster, which import them by name."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from clusternet.errors import RasterError


def square(number: int) -> int:
    """Return the square, after a time that differs."""
    time.sleep(0.01 * (number % 3))
    return number * number


def process(number: int) -> int:
    """Return the process that works."""
    return os.getpid()


@dataclass(frozen=True)
class Deadly:
    """Ends its worker as many times as asked, then gives its number."""

    number: int
    folder: Path
    deaths: int

    def __str__(self) -> str:
        """Name it as a task names its raster."""
        return f"scene_{self.number}.tif, window at row 0, column 0"


def die(item: Deadly) -> int:
    """End the worker, as the kernel does when memory runs out."""
    for mark in (item.folder / f"{item.number}_{death}" for death in range(item.deaths)):
        if not mark.exists():
            mark.touch()
            os._exit(1)
    return item.number


def refuse(number: int) -> int:
    """Find a damaged file."""
    if number == 3:
        raise RasterError("scene.tif: is damaged.")
    return number


def write_or_refuse(item: tuple[Path, int]) -> None:
    """Write many files one by one, or find a damaged file meanwhile."""
    folder, number = item
    if number == 0:
        for file in range(100):
            (folder / str(file)).touch()
            time.sleep(0.05)
    while not any(folder.iterdir()):
        time.sleep(0.01)
    raise RasterError("scene.tif: is damaged.")


def surroundings(number: int) -> tuple[str, str | None]:
    """Return the folder and the backend that the worker has."""
    return str(Path.cwd()), os.environ.get("KERAS_BACKEND")
