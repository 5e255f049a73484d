"""Compare the rules that turn strokes into classes, with a simulated user.

python benchmarks/strokes.py RUN RASTER TRUTH [--strokes 40] [--repeats 3] [--goal 0.6]

The user first draws one stroke on the largest region of each class, then always in the largest
wrong region: along its middle, at most 60 pixels long and 5 wide. After each stroke the
map is scored against the truth. Prints, for each rule, the mIoU after so many strokes, the strokes
until the goal, and the seconds that an update of a view of 1024 x 1024 pixels takes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage
from threadpoolctl import threadpool_limits

from clusternet.classes.batch import LazyPredictor, full_cache
from clusternet.labels.strokes import Stroke, make_line
from clusternet.learning.mapping import DEFAULT_SMOOTH, classify, collect_samples, sample_scene
from clusternet.learning.rules import RULES, fit_rule
from clusternet.metrics import Scores, confusion_matrix
from clusternet.prediction.feature_cache import FeatureCache
from clusternet.raster import open_raster
from clusternet.training.run import load_run
from clusternet.types import NO_CLASS, BoolArray, IntArray
from clusternet.windows import Window

LENGTH, WIDTH = 60, 5  # pixels
SHOWN = (5, 10, 15, 20, 30, 40, 60)


def draw_inside(region: BoolArray, rng: np.random.Generator) -> list[list[float]]:
    """Return a stroke (col, row) along the middle of a region; (rows, cols) bool."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    deepest = np.argwhere(depth >= depth.max() * 0.9)
    row, col = deepest[rng.integers(len(deepest))]
    best = [[col + 0.5, row + 0.5]]
    for angle in rng.permutation(np.linspace(0, np.pi, 12, endpoint=False)):
        ends = []
        for side in (1, -1):
            reach = np.arange(0, LENGTH / 2)
            rows = np.clip((row + side * reach * np.sin(angle)).astype(int), 0, len(region) - 1)
            cols = np.clip((col + side * reach * np.cos(angle)).astype(int), 0, region.shape[1] - 1)
            inside = depth[rows, cols] > min(WIDTH / 2, depth[row, col] / 2)
            last = len(reach) - 1 if inside.all() else max(int(inside.argmin()) - 1, 0)
            ends.append([cols[last] + 0.5, rows[last] + 0.5])
        if np.hypot(*np.subtract(*ends)) > np.hypot(*np.subtract(best[0], best[-1])):
            best = ends
    return best


def largest_region(mask: BoolArray) -> BoolArray:
    """Return the largest connected region of a mask after erosion, which drops thin ones."""
    opened = ndimage.binary_opening(mask, iterations=2)
    labels, count = ndimage.label(opened if opened.any() else mask)
    sizes = np.bincount(labels.ravel())[1:]
    return np.asarray(labels == sizes.argmax() + 1) if count else mask


def next_stroke(truth: IntArray, class_map: IntArray, rng: np.random.Generator) -> Stroke | None:
    """Return a stroke in the largest wrong region; None if nothing is wrong."""
    wrong = (truth != NO_CLASS) & (truth != class_map)
    best, size, number = None, 0, 0
    for value in np.unique(truth[wrong]):
        region = largest_region(wrong & (truth == value))
        if region.sum() > size:
            best, size, number = region, int(region.sum()), int(value)
    if best is None:
        return None
    return Stroke(make_line(draw_inside(best, rng)), number, WIDTH)


def simulate(
    cache: FeatureCache, truth: IntArray, rule: str, num_strokes: int, seed: int, smooth: int
) -> Iterator[tuple[int, float, float]]:
    """Yield (strokes so far, mIoU, seconds of the update) after each stroke."""
    rng = np.random.default_rng(seed)
    scene = sample_scene(cache)
    numbers = np.unique(truth[truth != NO_CLASS])
    strokes = [
        Stroke(make_line(draw_inside(largest_region(truth == n), rng)), int(n), WIDTH)
        for n in numbers
    ]
    whole = Window(0, 0, *cache.shape)
    while len(strokes) <= num_strokes:
        start = time.perf_counter()
        classifier = fit_rule(rule, collect_samples(cache, strokes), scene)
        fitted = time.perf_counter() - start
        start = time.perf_counter()
        class_map = classify(cache, classifier, whole, smooth=smooth)
        pixels = cache.shape[0] * cache.shape[1]
        seconds = fitted + (time.perf_counter() - start) * 1024**2 / pixels
        confusion = confusion_matrix(
            np.searchsorted(numbers, truth), np.searchsorted(numbers, class_map), len(numbers),
            (truth != NO_CLASS) & (class_map != NO_CLASS),
        )  # fmt: skip
        yield len(strokes), Scores.from_confusion(confusion).mean_iou, seconds
        stroke = next_stroke(truth, class_map, rng)
        if stroke is None:
            return
        strokes.append(stroke)


def main() -> None:
    """Run the comparison and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("raster", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--strokes", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--goal", type=float, default=0.6)
    parser.add_argument("--rules", nargs="+", default=list(RULES))
    parser.add_argument("--smooth", type=int, default=DEFAULT_SMOOTH)
    parser.add_argument("--cache_folder", type=Path)
    args = parser.parse_args()
    threadpool_limits(1)  # as the page does
    run = load_run(args.run)
    cache = full_cache(run, args.raster, LazyPredictor(args.run), args.cache_folder)
    with open_raster(args.truth, 255, codes=True) as raster:
        pixels, valid = raster.read(Window(0, 0, *cache.shape))
    truth = np.where(valid, pixels[..., 0].astype(np.int32), NO_CLASS)
    print(f"{'rule':10}", *(f"{n:6d}" for n in SHOWN if n <= args.strokes), "  goal  seconds")
    for rule in args.rules:
        curves = np.full((args.repeats, args.strokes + 1), np.nan)
        times, goals = [], []
        for repeat in range(args.repeats):
            for count, score, seconds in simulate(
                cache, truth, rule, args.strokes, repeat, args.smooth
            ):
                curves[repeat, count:] = score
                times.append(seconds)
            reached = np.flatnonzero(curves[repeat] >= args.goal)
            goals.append(int(reached[0]) if len(reached) else args.strokes + 1)
        means = np.nanmean(curves[:, [n for n in SHOWN if n <= args.strokes]], axis=0)
        goal = f"{np.median(goals):.0f}" if np.median(goals) <= args.strokes else "-"
        print(f"{rule:10}", *(f"{m:6.3f}" for m in means), f"{goal:>6}", f"{np.median(times):8.3f}")


if __name__ == "__main__":
    main()
