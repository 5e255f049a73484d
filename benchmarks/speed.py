"""Measure how fast and how large ClusterNet is, beside the published scheme and the machine.

python benchmarks/speed.py --output_folder speed
python benchmarks/speed.py --output_folder speed --sizes 256 --precisions mixed_bfloat16
python benchmarks/speed.py --output_folder speed --tiny     (seconds: tests that it runs)

Prints the tables, and writes them with results.json and growth.png. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from measures.epoch import EPOCH_PATCHES, measure_epoch
from measures.growth import measure_kmeans, measure_main
from measures.isolation import Figures, isolated, with_peak
from measures.limit import measure_limit
from measures.material import configuration, write_patches
from measures.prediction import measure_prediction, train_run
from measures.published import measure_published
from measures.report import RESULTS, load, machine, merge, save, tables
from measures.start import measure_start

from clusternet.errors import OutputError
from clusternet.files.locks import claimed
from clusternet.files.outputs import check_new

PARTS = ("start", "limit", "epoch", "prediction", "growth")


@dataclass(frozen=True)
class Scale:
    """The sizes of patches, rasters and runs to measure."""

    configurations: tuple[str, ...] = ("official", "default")
    """Settings whose epochs are timed."""
    patches: int = 16
    """Patches of an epoch that is timed."""
    base_filters: int | None = None
    """Filters of the first level; None means as configured."""
    sides: tuple[tuple[int, int], ...] = ((64, 2048), (16, 2048), (16, 8192), (16, 16384))
    """(base filters, side) of the rasters predicted."""
    counts: tuple[int, ...] = (50, 200, 800)
    """Patches in the runs of main.py."""
    growth_size: int = 128
    """Side of those patches, of a network with 8 base filters."""
    clusters: tuple[int, ...] = (20, 100, 1000)
    """Clusters of the K-Means timed."""
    help_repeats: int = 3
    """Times that each ``--help`` is called."""
    fresh: bool = True
    """Measure everything in a process of its own."""

    def run(self, measure: Callable[..., Figures], **arguments: Any) -> Figures:
        """Call a measurement; add its peak memory."""
        return isolated(measure, **arguments) if self.fresh else with_peak(measure, arguments)


TINY = Scale(
    configurations=("official",),
    patches=4, base_filters=2, sides=((2, 64),), counts=(4,), growth_size=32, clusters=(5,),
    help_repeats=1, fresh=False,
)  # fmt: skip


def measure_limits(
    scale: Scale, sizes: Sequence[int], precisions: Sequence[str]
) -> Iterator[Figures]:
    """Measure the convolutions of both configurations."""
    for name, size, precision, settings in _cases(scale, sizes, precisions):
        figures = scale.run(
            measure_limit, size=size, precision=precision, settings=settings,
            batch=settings.train_batch_size,
        )  # fmt: skip
        yield figures | {
            "configuration": name, "size": size, "precision": precision,
            "base_filters": settings.base_filters,
        }  # fmt: skip


def measure_epochs(
    scale: Scale, sizes: Sequence[int], precisions: Sequence[str], folder: Path
) -> Iterator[Figures]:
    """Measure an epoch of the published scheme and of ours, in both configurations."""
    for size in sizes:
        write_patches(folder / str(size), scale.patches, size)
    for name, size, precision, settings in _cases(scale, sizes, precisions):
        arguments: dict[str, Any] = dict(folder=folder / str(size), size=size, settings=settings)
        known = {"size": size, "precision": precision}
        if name == "official":
            yield scale.run(measure_published, **arguments) | known | {"scheme": "published"}
        figures = scale.run(measure_epoch, **arguments, started=time.time())
        yield figures | known | {"scheme": name}


def _cases(
    scale: Scale, sizes: Sequence[int], precisions: Sequence[str]
) -> Iterator[tuple[str, int, str, Any]]:
    changes = {} if scale.base_filters is None else {"base_filters": scale.base_filters}
    for size in sizes:
        for name in scale.configurations:
            for precision in precisions:
                settings = configuration(name, precision=precision, **changes)
                # few patches are timed, with the batch size of a longer epoch
                batch = settings.batch_size((size, size), EPOCH_PATCHES)
                yield name, size, precision, replace(settings, train_batch_size=batch)


def measure_predictions(scale: Scale, precision: str, folder: Path) -> Iterator[Figures]:
    """Measure maps of rasters of growing size, with the default network and the paper's."""
    for base_filters in dict.fromkeys(base for base, _ in scale.sides):
        scale.run(
            train_run, folder=folder / f"run{base_filters}", size=64,
            base_filters=base_filters, num_clusters=100,
        )  # fmt: skip
    for base_filters, side in scale.sides:
        figures = scale.run(
            measure_prediction, run=folder / f"run{base_filters}", side=side, precision=precision
        )
        yield figures | {"base_filters": base_filters, "precision": precision}


def measure_growth(scale: Scale, folder: Path) -> dict[str, Any]:
    """Measure runs of main.py, a group of the published scheme like them, and K-Means."""
    flags = ("--base_filters", "8")
    runs = [measure_main(count, scale.growth_size, *flags) for count in scale.counts]
    patches = write_patches(folder / "group", scale.patches, scale.growth_size)
    group = scale.run(
        measure_published, folder=patches, size=scale.growth_size,
        settings=configuration("default", base_filters=8),
    )  # fmt: skip
    clusters = [scale.run(measure_kmeans, num_clusters=number) for number in scale.clusters]
    return {"growth": runs, "growth_published": group, "clusters": clusters}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the parts, and print and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_folder", type=Path, required=True, help="where results go")
    parser.add_argument("--sizes", type=int, nargs="+", help="sides of the patches, in pixels")
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"],
                        help="arithmetic inside the network")  # fmt: skip
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS,
                        help="measure these; what the folder holds of others is kept")  # fmt: skip
    parser.add_argument("--patches", type=int, help="patches of an epoch that is timed")
    parser.add_argument("--tiny", action="store_true", help="so small that times mean nothing")
    args = parser.parse_args(argv)
    scale = TINY if args.tiny else Scale()
    if args.patches:
        scale = replace(scale, patches=args.patches)
    try:
        with claimed(args.output_folder):
            check_new(args.output_folder, kind=RESULTS, overwrite=True)  # rows are added to it
            _measure_all(args, scale, args.sizes or ([208] if args.tiny else [256, 512]))
    except OutputError as error:
        parser.error(str(error))
    print(f"{args.output_folder}: tables.md, results.json and growth.png written")


def _measure_all(args: argparse.Namespace, scale: Scale, sizes: Sequence[int]) -> None:
    results = load(args.output_folder) | {"machine": machine()}
    results["commands"] = [*results.get("commands", []), " ".join(sys.argv)]
    with tempfile.TemporaryDirectory() as work:
        for name in args.parts:
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            measured = _measure(name, scale, sizes, args.precisions, Path(work))
            for key, value in measured.items():
                results[key] = merge(results.get(key), value)
            save(results, args.output_folder)
    print(tables(results))


def _measure(
    part: str, scale: Scale, sizes: Sequence[int], precisions: Sequence[str], work: Path
) -> dict[str, Any]:
    if part == "limit":
        return {"limit": list(measure_limits(scale, sizes, precisions))}
    if part == "epoch":
        return {"epoch": list(measure_epochs(scale, sizes, precisions, work))}
    if part == "prediction":
        return {"prediction": list(measure_predictions(scale, precisions[-1], work))}
    if part == "start":
        return {"start": measure_start(scale.help_repeats)}
    return measure_growth(scale, work)


if __name__ == "__main__":
    main()
