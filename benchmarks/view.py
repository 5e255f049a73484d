"""Time what the interactive page does with a scene: features, updates of a view, panning.

python benchmarks/view.py RUN RASTER [--strokes 30] [--rules perceptron ...] [--cache_folder DIR]

Needs no truth: strokes are drawn at random, and the class of each is derived from the cluster at
its middle. Prints the pixels a second at which features are computed (if they are not there yet)
and their room on the disk; for each rule the seconds from a stroke to all class tiles that a view
of 1024 x 1024 pixels shows, computed in two threads as the page's server does, for a view on tile
borders and for one between them, and for the whole scene at its smallest scale; the seconds of one
tile while panning; and the seconds of the map of the whole scene.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from measures.isolation import gib
from threadpoolctl import threadpool_limits

from clusternet.classes.batch import LazyPredictor
from clusternet.command_line.command import run_command
from clusternet.interactive.server import class_tile
from clusternet.interactive.session import Session
from clusternet.interactive.tiles import TILE, ImageTiles
from clusternet.interactive.workspace import Workspace
from clusternet.labels.strokes import Stroke, make_line
from clusternet.learning.rules import DEFAULT_RULE, RULES
from clusternet.learning.streaming import cached_windows
from clusternet.prediction.filling import fill_cache
from clusternet.raster.pyramid import build_pyramid

CLASSES, LENGTH, WIDTH = 5, 60, 8
VIEW = 1024
Place = tuple[int, int, int]
"""Zoom, column and row of a tile."""


def random_stroke(workspace: Workspace, rng: np.random.Generator) -> Stroke:
    """Return a straight stroke on the scene; its class is made from the cluster in its middle."""
    rows, cols = workspace.cache.shape
    while True:
        middle = rng.uniform((0, 0), (cols, rows))
        _, cluster, valid = workspace.cache.at(middle[None, ::-1].astype(np.int64))
        if valid[0]:
            break
    angle = rng.uniform(0, np.pi)
    reach = LENGTH / 2 * np.array([np.cos(angle), np.sin(angle)])
    line = make_line([middle - reach, middle + reach])
    return Stroke(line, int(cluster[0]) % CLASSES + 1, WIDTH)


def view_tiles(shape: tuple[int, int], zoom: int, left: int, top: int) -> list[Place]:
    """Return the tiles that a view of 1024 x 1024 screen pixels shows, at full size."""
    last_row, last_col = (
        min(first + VIEW, size) - 1 for first, size in zip((top, left), shape, strict=True)
    )
    return [
        (zoom, col, row)
        for row in range(top // TILE, last_row // TILE + 1)
        for col in range(left // TILE, last_col // TILE + 1)
    ]


class Timer:
    """Seconds of an update, over many strokes."""

    def __init__(self, workspace: Workspace, max_zoom: int) -> None:
        """Draw on a workspace whose features are complete."""
        self.workspace, self.max_zoom = workspace, max_zoom
        self.pool = ThreadPoolExecutor(2)

    def update(self, stroke: Stroke, places: Sequence[Place]) -> tuple[float, float]:
        """Return the seconds of the fit, and of fit and tiles together."""
        start = time.perf_counter()
        self.workspace.change(lambda session: session.draw(stroke))
        fitted = time.perf_counter() - start
        list(self.pool.map(lambda p: class_tile(self.workspace, self.max_zoom, *p), places))
        return fitted, time.perf_counter() - start

    def updates(self, count: int, places: Sequence[Place]) -> str:
        """Return a line on ``count`` strokes, drawn one after the other."""
        self.workspace.change(Session.clear)
        rng = np.random.default_rng(0)
        times = [self.update(random_stroke(self.workspace, rng), places) for _ in range(count)][
            CLASSES:
        ]  # the first updates have few classes
        fits, wholes = np.array(times).T
        return (
            f"{len(places):3d} tiles: update median {np.median(wholes):.3f} s, "
            f"last of {count} {wholes[-1]:.3f}, slowest {wholes.max():.3f}; "
            f"of it the fit {np.median(fits):.3f}, {fits[-1]:.3f}, {fits.max():.3f}"
        )


def measure_features(workspace: Workspace, raster: Path, run: Path) -> None:
    """Compute the features that are missing and report the speed."""
    missing = int((~workspace.cache.done).sum())
    if missing:
        predictor = LazyPredictor(run).get()
        start = time.perf_counter()
        fill_cache(workspace.cache, raster, predictor)
        seconds = time.perf_counter() - start
        pixels = np.prod(workspace.cache.shape) * missing / len(workspace.cache.done)
        print(f"features: {seconds:.0f} s, {pixels / seconds / 1e6:.3f} megapixels/s")
    size = sum(path.stat().st_size for path in workspace.cache.folder.glob("*_[0-9]*.npy"))
    depth = len(workspace.cache.quantiser.kept)
    print(f"on disk: {size / 1e9:.3f} GB, {depth} features a pixel")


def measure_panning(workspace: Workspace, images: ImageTiles) -> None:
    """Report how long single tiles at random positions take, at every zoom."""
    rng = np.random.default_rng(1)
    rows, cols = workspace.cache.shape
    for name in ("image", "class"):
        times = []
        for _ in range(150):
            zoom = int(rng.integers(0, images.max_zoom + 1))
            side = TILE << (images.max_zoom - zoom)
            col, row = int(rng.integers(-(-cols // side))), int(rng.integers(-(-rows // side)))
            start = time.perf_counter()
            if name == "image":
                images.tile(zoom, col, row, images.first_look())
            else:
                class_tile(workspace, images.max_zoom, zoom, col, row)
            times.append(1000 * (time.perf_counter() - start))
        low, high = np.percentile(times, (50, 95))
        print(f"a tile of the {name} while panning: median {low:.0f} ms, 95 % below {high:.0f} ms")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("raster", type=Path)
    parser.add_argument("--strokes", type=int, default=30)
    parser.add_argument("--rules", nargs="+", default=[DEFAULT_RULE], choices=RULES)
    parser.add_argument("--cache_folder", type=Path)
    parser.add_argument("--whole", action="store_true", help="also the map of the whole scene")
    args = parser.parse_args()
    run_command(lambda: measure(args))


def measure(args: argparse.Namespace) -> None:
    """Measure and print what ``args`` select."""
    threadpool_limits(1)  # as the page does
    workspace = Workspace(args.run, args.raster, cache_folder=args.cache_folder)
    try:
        for number in range(len(workspace.drawing.classes), CLASSES):
            del number
            workspace.change(lambda session: session.add_class())
        measure_features(workspace, args.raster, args.run)
        images = ImageTiles(build_pyramid(args.raster, workspace.folder), None)
        timer, shape, top = (
            Timer(workspace, images.max_zoom),
            workspace.cache.shape,
            images.max_zoom,
        )
        for rule in args.rules:
            workspace.rule = rule
            print(f"{rule}, 1024 x 1024 view")
            for first in (0, TILE // 2):
                places = view_tiles(shape, top, first, first)
                print("  at full size,", timer.updates(args.strokes, places))
            far = max(0, top - 2)
            small = (-(-shape[0] >> (top - far)), -(-shape[1] >> (top - far)))
            print("  from afar,", timer.updates(args.strokes, view_tiles(small, far, 0, 0)))
        measure_panning(workspace, images)
        if args.whole and workspace.classifier is not None:
            start = time.perf_counter()
            for _ in cached_windows(workspace.cache, workspace.classifier, workspace.smooth):
                pass
            print(f"map of the whole scene: {time.perf_counter() - start:.1f} s")
        print(f"peak memory {gib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss):.2f} GiB")
    finally:
        workspace.lock.release()


if __name__ == "__main__":
    main()
