"""Measure what a user waits for: from rasters and a few polygons to class maps, all defaults, cold.

python benchmarks/journey.py --output_folder journey
python benchmarks/journey.py --output_folder journey --sizes 1 16 --parts ours forest
python benchmarks/journey.py --output_folder journey --tiny    (a minute: tests that it runs)

Beside it, on the same rasters and polygons: scikit-image's multi-scale features with a forest of
scikit-learn, K-Means on the bands, and an epoch of the published scheme, reckoned from a part.
Prints the table, and writes journey.md, journey.json and journey.png. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from journeys.calls import DEFAULT_EPOCHS, our_journey, timed
from journeys.report import JOURNEY, load, save, table
from journeys.scenes import Material, write_material
from measures.isolation import CORES, Figures, isolated
from measures.material import configuration, write_patches
from measures.published import measure_published
from measures.report import machine

from clusternet.errors import OutputError
from clusternet.files.locks import claimed
from clusternet.files.outputs import check_new

SIZES = {"1": (1000, 1), "16": (4000, 1), "100": (10_000, 1), "many": (500, 300)}
"""(side, rasters) by name: megapixels of one scene, or many rasters of 0.25."""
PARTS = ("ours", "forest", "kmeans", "published")
BLOCK, PATCH, PATCHES = 1000, 256, 8


def measure(part: str, material: Material, work: Path, epochs: int, *, tiny: bool) -> list[Figures]:
    """Time one way from the rasters to class maps; a row for each process."""
    if part == "ours":
        return our_journey(material.images, material.labels, work, epochs)
    if part == "published":
        return [measure_epoch(material.megapixels, work, tiny=tiny)]
    script = Path(__file__).parent / "journeys" / "rivals.py"
    return [timed(part, [script, part, material.images, material.labels, work / part])]


def measure_epoch(megapixels: float, work: Path, *, tiny: bool) -> Figures:
    """Reckon an epoch of the published scheme on all pixels from a few patches."""
    filters = {"base_filters": 2, "num_clusters": 5} if tiny else {}
    figures = isolated(
        measure_published,
        folder=write_patches(work / "published", 2 if tiny else PATCHES, PATCH),
        size=PATCH,
        settings=configuration("official", **filters),
    )
    patches = megapixels * 1e6 / PATCH**2
    return {
        "step": "epoch", "wall": figures["wall_per_patch"] * patches,
        "cpu": figures["busy_per_patch"] * patches * CORES, "gib": figures["peak_gib"],
        "phases": {},
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the parts, and print and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_folder", type=Path, required=True, help="where results go")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES),
                        help="megapixels of the scene, or many: 300 rasters of 0.25")  # fmt: skip
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS),
                        help="measure these; what the folder holds of others is kept")  # fmt: skip
    parser.add_argument("--epochs", type=int, default=DEFAULT_EPOCHS, metavar="N",
                        help="train for N epochs, and reckon those that miss to "
                        f"{DEFAULT_EPOCHS}")  # fmt: skip
    parser.add_argument("--rasters", type=int, metavar="N", help="number of the many rasters")
    parser.add_argument(
        "--work_folder",
        type=Path,
        metavar="PATH",
        help="keep scenes, run and maps here (default: a temporary folder)",
    )
    parser.add_argument("--tiny", action="store_true", help="so small that times mean nothing")
    args = parser.parse_args(argv)
    if not 1 <= args.epochs <= DEFAULT_EPOCHS:
        parser.error(f"--epochs: expected 1 to {DEFAULT_EPOCHS}, received {args.epochs}")
    try:
        with claimed(args.output_folder):
            check_new(args.output_folder, kind=JOURNEY, overwrite=True)  # rows are added to it
            _measure_all(args)
    except OutputError as error:
        parser.error(str(error))
    print(f"{args.output_folder}: journey.md, journey.json and journey.png written")


def _measure_all(args: argparse.Namespace) -> None:
    results = {"journeys": {}} | load(args.output_folder) | {"machine": machine()}
    results["commands"] = [*results.get("commands", []), " ".join(sys.argv)]
    for size in args.sizes:
        side, count = SIZES[size]
        if size == "many":
            count = args.rasters or count
        if args.tiny:
            side, count = 160, min(count, 3)
        with tempfile.TemporaryDirectory(dir=args.work_folder) as folder:
            work = Path(folder)
            material = write_material(work, side, count, 160 if args.tiny else BLOCK)
            journey = _journey_of(results["journeys"], size, material, count)
            for part in args.parts:
                print(f"{journey['scene']}: {part} ...", file=sys.stderr, flush=True)
                load_before = os.getloadavg()[0]
                rows = measure(part, material, work, args.epochs, tiny=args.tiny)
                journey["methods"][part] = [row | {"load": load_before} for row in rows]
                save(results, args.output_folder)
    print(table(results))


def _journey_of(
    journeys: dict[str, Any], size: str, material: Material, count: int
) -> dict[str, Any]:
    """Return what is known of a scene; nothing if it was another one."""
    one = f"{material.megapixels:g} megapixel{'' if material.megapixels == 1 else 's'}"
    scene = one if count == 1 else f"{count} rasters, {one}"
    if journeys.get(size, {}).get("scene") != scene:
        journeys[size] = {"scene": scene, "megapixels": material.megapixels, "methods": {}}
    return journeys[size]


if __name__ == "__main__":
    main()
