"""Score features against training steps, for several settings side by side.

python benchmarks/curve.py DATA --configs a.yaml b.yaml [--epochs 0 1 2 4 6 10] [--seeds 1 2 3]
python benchmarks/curve.py DATA --changes sinkhorn zoom

DATA is a folder as for quality.py, whose docstring explains the scores. Each configuration is a
file of settings as ``main.py --config`` takes them; without any, the default settings are trained.
With ``--changes`` the first configuration is also trained with each of these changes of the method,
one at a time. Training stops at each of ``--epochs``. Then whole scenes are predicted and their
clusters are scored; always 100 clusters, also if training had another number.

Writes results.json, results.csv, tables.md and curve.png. New rows replace rows of the same
configuration in the output folder.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from changes import CHANGES, NO_CHANGE, Change
from scoring.arguments import facts, make_parser, prepare
from scoring.describers import network_describer, train_run
from scoring.report import Row, format_tables, load_rows, save_curve, save_rows
from scoring.rows import NUM_CLUSTERS, Benchmark, cluster_again, read_settings, score_clusters

from clusternet.command_line.command import run_command
from clusternet.errors import SettingsError
from clusternet.network.sizes import check_shape
from clusternet.settings import TrainingSettings
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.run import load_run

_LINE = ("method", "steps")


def epoch_number(text: str) -> int:
    """Return a whole number, 0 for the network before its first step."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or above, found {text}")
    return int(text)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, "curve")
    add = parser.add_argument
    add("--configs", nargs="+", type=Path, default=[], metavar="FILE.yaml")
    add("--changes", nargs="+", choices=sorted(CHANGES), default=[])
    add("--epochs", nargs="+", type=epoch_number, default=[0, 1, 2, 4, 6, 8, 10])
    parser.set_defaults(shown=1)  # no pictures of maps are made
    return parser.parse_args()


Plan = tuple[TrainingSettings, Change]


def plans_to_compare(args: argparse.Namespace) -> dict[str, Plan]:
    """Return what to compare: settings by the names of their files, and changes by theirs.

    Raises:
        SettingsError: if there are two of a name, or one cannot be trained on such patches.
    """
    found: dict[str, Plan] = {} if args.configs else {"default": (TrainingSettings(), NO_CHANGE)}
    for path in args.configs:
        if path.stem in found or path.stem in args.changes:
            raise SettingsError(f"--configs {path}: expected names that differ, found two of it.")
        found[path.stem] = read_settings(path), NO_CHANGE
    for settings, _ in found.values():
        check_shape((args.patch_size, args.patch_size), settings.padding)
    first = next(iter(found.values()))[0]
    changes = {name: CHANGES[name] for name in args.changes}
    return found | {name: (each.settings_from(first), each) for name, each in changes.items()}


def curve_rows(bench: Benchmark, name: str, settings: TrainingSettings) -> Iterator[list[Row]]:
    """Train from scratch, and score the clusters at each of the epochs.

    If training had another number of clusters, 100 new ones are computed in the same space.
    """
    run = bench.work / f"{name}_{settings.seed}"
    for place, epoch in enumerate(sorted(set(bench.args.epochs))):
        part = dataclasses.replace(settings, num_epochs=epoch)
        train_run(bench.images, run, part, bench.args.patch_size, overwrite=place == 0)
        history = Checkpoint.load(run).history
        vectors = bench.describe(network_describer(run))
        codebook = load_run(run).stored.codebook
        if codebook.num_clusters != NUM_CLUSTERS:
            codebook = cluster_again(bench, vectors, codebook, NUM_CLUSTERS, settings.seed)
        known: Row = {
            "epoch": epoch,
            "steps": sum(record.steps for record in history),
            "loss": history[-1].loss if history else None,
        }
        found = score_clusters(bench, name, settings.seed, vectors, codebook)
        yield [row | known for row in found]


def measure(args: argparse.Namespace) -> None:
    """Score the configurations that ``args`` name.

    Raises:
        ClusterNetError: if data or settings cannot be used, or results cannot be written.
    """
    plans = plans_to_compare(args)
    with prepare(args, "curve.py") as bench:
        rows = load_rows(args.output_folder)
        for seed in args.seeds:
            for name, (settings, change) in plans.items():
                seeded = dataclasses.replace(settings, seed=seed)
                rows = [row for row in rows if (row["method"], row["seed"]) != (name, seed)]
                with change.in_force():
                    for found in curve_rows(bench, name, seeded):
                        rows += found
                        rows.sort(key=lambda row: (row["method"], row["steps"], row["seed"]))
                        save_rows(args.output_folder, rows, facts(args), _LINE)
                        save_curve(args.output_folder / "curve.png", rows)
        print(format_tables(rows, _LINE))


def main() -> None:
    """Compare settings, and write the scores of each epoch as soon as they are known."""
    args = parse()
    run_command(lambda: measure(args))


if __name__ == "__main__":
    main()
