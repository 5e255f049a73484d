"""Measure what Ray costs and brings, and simulate clusters that are not at hand.

python benchmarks/scale.py --output_folder scale
python benchmarks/scale.py --output_folder scale --parts overhead --stages tile predict
python benchmarks/scale.py --output_folder scale --quick      (tests that it runs)

Parts can be measured one after the other into the same folder. Prints the tables, and writes them
with results.json and scale.png. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measures.isolation import Figures, isolated
from measures.report import RESULTS, load, machine
from scaling import costs, simulation
from scaling.material import Material
from scaling.names import measure_names
from scaling.report import put_into, save, tables
from scaling.stages import Jobs, can_train, measure_overhead, measure_workers

from clusternet.errors import OutputError
from clusternet.files.locks import claimed
from clusternet.files.outputs import check_new

PARTS = ("overhead", "workers", "traffic", "costs", "names", "simulation")
STAGES = ("tile", "survey", "predict", "classes", "evaluate", "train")
_CALL_SECONDS = 0.001  # of a message in Ray, if it was not measured


@dataclass(frozen=True)
class Scale:
    """The sizes of what is measured."""

    jobs: Jobs
    names: tuple[int, ...]
    """Numbers of patches whose names a command holds."""
    size: int
    """Side of the patches whose training is timed."""
    workers: tuple[int, ...] = (1, 2, 4)
    changes: dict[str, Any] | None = None
    """Of the settings of the training that is timed."""


FULL = Scale(Jobs(), names=(10_000, 100_000, 1_000_000), size=512)
QUICK = Scale(
    Jobs(side=128, patch=32, base_filters=2, repeats=1,
         scenes=dict.fromkeys(STAGES, (1, 2)) | {"survey": (4, 8), "train": (4, 8)}),
    names=(300,), size=208, workers=(1, 2), changes={"base_filters": 2},
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the parts, and print and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_folder", type=Path, required=True, help="where results go")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS,
                        help="measure these; what the folder holds of others is kept")  # fmt: skip
    parser.add_argument("--stages", nargs="+", choices=STAGES,
                        help="commands of overhead and workers; all if left out")  # fmt: skip
    parser.add_argument("--names", type=int, nargs="+",
                        help="numbers of patches whose names a command holds")  # fmt: skip
    parser.add_argument("--repeats", type=int, help="times that each command is called")
    parser.add_argument("--page", type=Path,
                        help="put tables and picture into this page of the docs, too")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="so small that times mean nothing")
    args = parser.parse_args(argv)
    try:
        with claimed(args.output_folder):
            check_new(args.output_folder, kind=RESULTS, overwrite=True)  # rows are added to it
            _measure_all(args, QUICK if args.quick else FULL)
    except OutputError as error:
        parser.error(str(error))
    print(f"{args.output_folder}: tables.md, results.json and scale.png written")


def _measure_all(args: argparse.Namespace, scale: Scale) -> None:
    results = load(args.output_folder) | {"machine": machine()}
    results["commands"] = [*results.get("commands", []), " ".join(sys.argv)]
    stages = args.stages or [each for each in STAGES if each != "train" or can_train()]
    jobs = scale.jobs if args.repeats is None else _repeated(scale.jobs, args.repeats)
    with tempfile.TemporaryDirectory() as work:
        material = Material(Path(work) / "material", jobs.side)
        for part, some in _pieces(args.parts, stages):
            print(f"measuring {part} {' '.join(some)} ...", file=sys.stderr, flush=True)
            for key, rows in _measure(part, args, scale, jobs, some, material, results).items():
                results[key] = _merge(results.get(key), rows)
            save(results, args.output_folder)
            shutil.rmtree(Path(work) / "out", ignore_errors=True)
    print(tables(results))
    if args.page is not None:
        put_into(args.page, results)


def _pieces(parts: Sequence[str], stages: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each part and its stages; one stage at a time where each takes minutes."""
    for part in parts:
        if part in ("overhead", "workers"):
            yield from ((part, [stage]) for stage in stages)
        else:
            yield part, []


def _measure(
    part: str,
    args: argparse.Namespace,
    scale: Scale,
    jobs: Jobs,
    stages: Sequence[str],
    material: Material,
    results: dict[str, Any],
) -> dict[str, Any]:
    work = material.folder.parent
    if part == "overhead":
        return {"overhead": list(measure_overhead(material, jobs, stages, work))}
    if part == "workers":
        return {"workers": list(measure_workers(material, jobs, stages, scale.workers, work))}
    if part == "traffic":
        found = costs.measure_traffic(material, jobs.patch, jobs.base_filters, work)
        return {"traffic": found, "call": isolated(costs.measure_call)}
    if part == "costs":
        changes = scale.changes or {}
        return {"costs": [
            costs.measure_costs(name, scale.size, work / "costs", **changes)
            for name in ("default", "official")
        ]}  # fmt: skip
    if part == "names":
        return {"names": [_names(count) for count in args.names or scale.names]}
    return _simulate(results)


def _names(count: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        return isolated(measure_names, folder=Path(folder), count=count)


def _simulate(results: dict[str, Any]) -> dict[str, Any]:
    """Simulate what the measurements in the folder allow."""
    call = results.get("call", {}).get("call_seconds", _CALL_SECONDS)
    found: dict[str, Any] = {}
    if results.get("costs"):
        found["training"] = simulation.simulate_training(results["costs"], call)
    predict = [row for row in results.get("traffic", []) if row["stage"] == "predict"]
    if predict:
        (row,) = predict
        found["maps"] = {"predict": simulation.simulate_maps(
            row["work_seconds"] / row["megapixels"], row["received"] / row["megapixels"],
            row["own_seconds"] / row["megapixels"],
        ), "survey": _survey(results)}  # fmt: skip
    return found


def _survey(results: dict[str, Any]) -> Figures | None:
    """Simulate the survey of a million patches, from those of the largest folder measured."""
    surveys = [row for row in results.get("traffic", []) if row["stage"] == "survey"]
    if not results.get("names") or not surveys:
        return None
    largest = max(results["names"], key=lambda row: float(row["patches"]))
    seconds = {step["step"]: step["seconds"] for step in largest["steps"]}
    opening = seconds["open"] / largest["patches"] * simulation.MANY
    megapixels = 512 * 512 / 1e6 * simulation.MANY
    reading = surveys[0]["work_seconds"] / surveys[0]["megapixels"] * megapixels
    return simulation.simulate_survey(opening, reading)


def _repeated(jobs: Jobs, repeats: int) -> Jobs:
    return Jobs(jobs.side, jobs.scenes, jobs.patch, jobs.base_filters, repeats)


def _merge(before: Any, now: Any) -> Any:
    """Return the new rows, and the old ones of other stages."""
    if not isinstance(before, list) or not all("stage" in row for row in [*before, *now]):
        return now
    stages = {row["stage"] for row in now}
    return [*(row for row in before if row["stage"] not in stages), *now]


if __name__ == "__main__":
    main()
