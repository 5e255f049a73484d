"""Test what happens to runs and files when commands are killed, interrupted or lack resources.

python benchmarks/reliability.py --output_folder reliability
python benchmarks/reliability.py --output_folder reliability --parts signals --signals 200
python benchmarks/reliability.py --output_folder reliability --page docs/reliability.md

Prints the trials that failed, and writes results.json and reliability.md. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faults.isolated import fresh_process
from faults.outcomes import Part
from faults.page import page
from faults.parts import PARTS, Trials, prepare
from measures.report import RESULTS, load, machine

from clusternet.errors import OutputError
from clusternet.files.locks import claimed
from clusternet.files.outputs import check_new, new_file


def build_parser() -> argparse.ArgumentParser:
    """Declare the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_folder", type=Path, required=True, help="where results go")
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=tuple(PARTS),
                        help="try these; what the folder holds of others is kept")  # fmt: skip
    parser.add_argument("--page", type=Path, help="write the page there, too")
    parser.add_argument("--signals", type=int, default=80, metavar="N",
                        help="signals sent to commands; a quarter while they start")  # fmt: skip
    parser.add_argument("--files", type=int, default=2000, metavar="N", help="files to damage")
    parser.add_argument("--kill_seconds", type=float, default=240,
                        help="time for the calls that come after kills")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the trials, print and write the results; exit status 1 if a trial failed."""
    parser = build_parser()
    args = parser.parse_args(argv)
    try:
        with claimed(args.output_folder):
            check_new(args.output_folder, kind=RESULTS, overwrite=True)  # rows are added to it
            parts = _try_all(args)
    except OutputError as error:
        parser.error(str(error))
    faults = [f"{part.name}: {fault}" for part in parts for fault in part.faults]
    print("\n".join(faults[:50]) or "all held")
    print(f"{args.output_folder}: reliability.md and results.json written")
    raise SystemExit(1 if faults else 0)


def _try_all(args: argparse.Namespace) -> list[Part]:
    results = load(args.output_folder) | {"machine": machine()}
    results["commands"] = [*results.get("commands", []), " ".join(sys.argv)]
    done: dict[str, Any] = results.setdefault("parts", {})
    tried = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        fresh_process(prepare, work / "given")
        for part_name in args.parts:
            print(f"trying {part_name} ...", file=sys.stderr, flush=True)
            begin, used = time.monotonic(), _processor_seconds()
            trials = Trials(
                work / "given", work / part_name, args.seed, signals=args.signals,
                files=args.files, seconds=args.kill_seconds,
            )  # fmt: skip
            trials.work.mkdir()
            part = PARTS[part_name](trials)
            part.seconds = time.monotonic() - begin
            part.processor_seconds = _processor_seconds() - used
            part.load = os.getloadavg()[0]
            done[part_name] = part.to_json()
            tried.append(part)
            _save(results, args.output_folder, args.page)
    return tried


def _processor_seconds() -> float:
    """Return the processor time of this process and of those that it started and that ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))


def _save(results: dict[str, Any], folder: Path, also: Path | None) -> None:
    with new_file(folder / "results.json", overwrite=True) as part:
        part.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for path in (folder / "reliability.md", also):
        if path is not None:
            with new_file(path, overwrite=True) as part:
                part.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
