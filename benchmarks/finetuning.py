"""Score what fine-tuning a run on labels is worth, beside classifiers of the same labels.

python benchmarks/finetuning.py DATA [--hold_out tile7 tile8] [--shares 0.01 0.1]

DATA is as in quality.py. The default is trained on the images of scenes that are not held out. A
share of the blocks of 128 x 128 pixels is labelled, drawn from all scenes, and the same blocks
serve every method. The other blocks are scored, those of held-out scenes once more by themselves.
A seed is a draw of blocks and the seed of the training. Without labels, fine-tuning sees the
patches of all scenes.

Methods:
  forest      a random forest on the fixed filters with coherence
  head        the class head before the first step: a perceptron on filters and the run's features
  scratch     fine-tuning from random weights, without the clusters' loss
  clusters    the same with the clusters' loss
  run         fine-tuning from the run, without the clusters' loss
  both        fine-tuning from the run, with the clusters' loss: main.py --labels

Results are added to those in the output folder.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from pathlib import Path

import numpy as np
from scoring.arguments import facts, make_parser, number, prepare
from scoring.clusters import BLOCK, make_forest, predict_forest, score_map
from scoring.describers import filters_describer, train_run
from scoring.report import Row, format_tables, load_rows, save_rows
from scoring.rows import Benchmark, settings_of

import clusternet
from clusternet.command_line.command import run_command
from clusternet.evaluation.draws import draw_blocks
from clusternet.labels.rules import UNLABELLED
from clusternet.raster import MapForm, create_map, open_raster
from clusternet.settings import TrainingSettings
from clusternet.types import BoolArray, IntArray
from clusternet.windows import Window

METHODS = ("forest", "head", "scratch", "clusters", "run", "both")
_SAMPLES = 20_000


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, "finetuning")
    add = parser.add_argument
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    add("--shares", nargs="+", type=float, default=[0.01, 0.02, 0.1, 0.5])
    add("--epochs", type=number, default=10, help="of fine-tuning, some 30 steps each")
    add("--config", type=Path, help="settings of the run, instead of the defaults")
    return parser.parse_args()


def main() -> None:
    """Run the methods, and write the results after each."""
    args = parse()
    run_command(lambda: measure(args))


def measure(args: argparse.Namespace) -> None:
    """Score the methods that ``args`` name.

    Raises:
        ClusterNetError: if the data cannot be used, or results cannot be written.
    """
    with prepare(args, "finetuning.py") as bench:
        rows = load_rows(args.output_folder)
        for share in args.shares:
            for seed in args.seeds:
                for method in args.methods:
                    add_scores(rows, method, seed, share, score(bench, method, share, seed))
                    save_rows(args.output_folder, rows, facts(args))
        print(format_tables(rows))


def add_scores(
    rows: list[Row], method: str, seed: int, share: float, scores: dict[str, dict[str, float]]
) -> None:
    """Add the scores of a share, by set of scenes, to the rows of a method and seed."""
    for scenes, values in scores.items():
        same = {"method": method, "seed": seed, "scenes": scenes}
        row = next((row for row in rows if same.items() <= row.items()), None)
        if row is None:
            row = same
            rows.append(row)
        row |= {f"{share:.0%} {name}": value for name, value in values.items()}


def score(bench: Benchmark, method: str, share: float, seed: int) -> dict[str, dict[str, float]]:
    """Label a draw of blocks, and score the maps of a method on the others, by set of scenes."""
    known = draw_blocks(bench.labels.num_blocks, share, seed, seed=1)[-1]
    if method == "forest":
        maps = forest_maps(bench, known, seed)
    else:
        maps = tuned_maps(bench, method, known, seed)
    scores = {}
    for scenes, chosen in bench.sets.items():
        # blocks keep the numbers that they have among all scenes
        parts = [np.where(known[bench.labels.blocks[i]], -1, maps[i]) for i in chosen]
        labels = bench.labels.subset(chosen)
        found = score_map(parts, labels, np.ones(labels.num_blocks, bool))
        scores[scenes] = {name: found[name] for name in ("mean_iou", "accuracy")}
    return scores


def forest_maps(bench: Benchmark, known: BoolArray, seed: int) -> list[IntArray]:
    """Return the class maps of a random forest on the fixed filters."""
    vectors = bench.describe(filters_describer(bench.bands, weighted=True))
    flat = np.concatenate([each.reshape(-1, each.shape[-1]) for each in vectors])
    truth = np.concatenate([each.ravel() for each in bench.labels.truth])
    blocks = np.concatenate([each.ravel() for each in bench.labels.blocks])
    usable = ~np.isnan(flat[:, 0])
    places = np.flatnonzero(usable & (truth >= 0) & known[blocks])
    rng = np.random.default_rng(seed)
    places = rng.choice(places, min(_SAMPLES, len(places)), replace=False)
    forest = make_forest(seed).fit(flat[places], truth[places])
    maps = []
    for each in vectors:
        found = np.full(each.shape[:2], -1, np.int32)
        inside = ~np.isnan(each[..., 0])
        found[inside] = predict_forest(forest, each[inside])
        maps.append(found)
    return maps


def tuned_maps(bench: Benchmark, method: str, known: BoolArray, seed: int) -> list[IntArray]:
    """Return the class maps of a fine-tuned run."""
    args, work = bench.args, bench.work
    settings = settings_of(args, "default", seed)
    first = train_run(bench.images, work / f"default_{seed}", settings, args.patch_size)
    labels = write_labels(bench, known, work / "labels")
    patches = labelled_patches(bench, args.patch_size)
    start = first if method in ("head", "run", "both") else None
    output = work / "tuned"
    tuned = dataclasses.replace(
        settings,
        num_epochs=0 if method == "head" else args.epochs,
        cluster_weight=TrainingSettings.cluster_weight if method in ("clusters", "both") else 0,
    )
    clusternet.fine_tune(patches, labels, output, tuned, pretrained_weights=start, overwrite=True)
    predictor = clusternet.load(output)
    numbers = np.array(sorted(bench.scenes[0].rules.options.classes.names))
    maps = []
    for scene in bench.scenes:
        found = predictor.predict(scene.image)[:: args.step, :: args.step]
        maps.append(np.where(found < 0, -1, np.searchsorted(numbers, found)).astype(np.int32))
    return maps


def labelled_patches(bench: Benchmark, size: int) -> Path:
    """Return the patches of all scenes: labels are drawn from held-out scenes, too."""
    patches = bench.work / f"all_patches_{size}"
    if not patches.exists():
        folder = bench.work / "all_images"
        folder.mkdir(exist_ok=True)
        for scene in bench.scenes:
            shutil.copy(scene.image, folder / scene.image.name)
        clusternet.tile_rasters(folder, patches, clusternet.TilingSettings((size, size)))
    return patches


def write_labels(bench: Benchmark, known: BoolArray, folder: Path) -> Path:
    """Write the labels of the known blocks as rasters named like the scenes."""
    numbers = np.array(sorted(bench.scenes[0].rules.options.classes.names))
    if folder.exists():
        shutil.rmtree(folder)  # in the folder of results, and made here
    folder.mkdir()
    for scene, blocks in zip(bench.scenes, bench.labels.blocks, strict=True):
        truth = scene.truth(len(bench.classes))
        per_block = BLOCK // bench.labels.step
        chosen = known[blocks[::per_block, ::per_block]] & (blocks[::per_block, ::per_block] >= 0)
        if not chosen.any():
            continue
        inside = chosen.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)
        inside = inside[: truth.shape[0], : truth.shape[1]]
        values = np.where(inside & (truth >= 0), numbers[truth], UNLABELLED).astype(np.uint8)
        with open_raster(scene.image) as image:
            grid = image.profile
        form = MapForm("uint8", nodata=UNLABELLED)
        with create_map(folder / f"{scene.name}.tif", grid, form) as writer:
            writer.write(Window(0, 0, *truth.shape), values)
    return folder


if __name__ == "__main__":
    main()
