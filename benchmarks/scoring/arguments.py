"""Command-line options that the benchmarks on labelled scenes share."""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from measures.isolation import CORES

from clusternet.errors import OutputError
from clusternet.files.locks import claimed
from clusternet.files.outputs import Kind, check_apart, check_new, new_file
from clusternet.network.backend import keras
from clusternet.training.run import library_versions
from scoring.rows import Benchmark
from scoring.scenes import find_scenes, read_classes

_ONE_FOLDER = ("data", "hold_out", "downscale", "every", "patch_size", "step")
"""Options that all rows of a folder share: its patches and runs were made with them."""
_OPTIONS = "options.json"


def _has_options(folder: Path) -> bool:
    found = json.loads((folder / _OPTIONS).read_text(encoding="utf-8"))
    return isinstance(found, dict) and {"script", *_ONE_FOLDER} <= found.keys()


RESULTS = Kind("folder of results", _has_options, lambda _: lambda _: False)
"""Added to and never replaced as a whole."""


def number(text: str) -> int:
    """Return a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {text}")
    return int(text)


def make_parser(description: str | None, output: str) -> argparse.ArgumentParser:
    """Return a parser with the options of scenes, seeds and clusters.

    Args:
        description: the docstring of the script.
        output: the folder that results go to, where none is given.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("data", type=Path, help="folder with images/, masks/, classes.json")
    add("--output_folder", type=Path, default=Path(output))
    add("--seeds", nargs="+", type=number, default=[1, 2, 3], help="of training and K-Means")
    add("--hold_out", nargs="+", default=[], metavar="START",
        help="scenes whose names begin so are kept from training and scored apart")  # fmt: skip
    add("--downscale", type=number, default=1, help="shrink scenes by this factor first")
    add("--every", type=number, default=1, help="take every so many-th scene only")
    add("--patch_size", type=number, default=256)
    add("--step", type=int, default=4, choices=(1, 2, 4, 8, 16),
        help="score every so many-th row and column")  # fmt: skip
    add("--draws", type=number, default=5)
    return parser


@contextmanager
def prepare(args: argparse.Namespace, script: str) -> Iterator[Benchmark]:
    """Find the scenes, and keep the output folder for their results until the block ends.

    Args:
        args: of the command line.
        script: whose results the folder holds.

    Raises:
        ClusterNetError: if they cannot be used, or the folder holds anything but results of the
            same scenes.
    """
    check_apart((args.output_folder,), (args.data, *getattr(args, "configs", ())))
    with claimed(args.output_folder):
        check_new(args.output_folder, kind=RESULTS, overwrite=True)  # rows are added to it
        classes = read_classes(args.data)
        options = _common_options(args, script)
        scenes = find_scenes(
            args.data, args.output_folder / "work", classes, downscale=args.downscale,
            hold_out=args.hold_out, every=args.every,
        )  # fmt: skip
        bench = Benchmark(args, scenes, list(classes.names.values()))
        bench.check_labels()
        # from here on there are results to keep
        with new_file(args.output_folder / _OPTIONS, overwrite=True) as part:
            part.write_text(options, encoding="utf-8")
        yield bench


def _common_options(args: argparse.Namespace, script: str) -> str:
    """Return as JSON what all rows of the output folder have in common.

    Raises:
        OutputError: if the folder holds rows, patches or runs of other scenes.
    """
    path = args.output_folder / _OPTIONS
    values = {name: getattr(args, name) for name in _ONE_FOLDER}
    values |= {"data": str(args.data.resolve()), "script": script}
    text = json.dumps(values, indent=1) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise OutputError(
            f"{args.output_folder}: holds results with other values of one of --"
            f"{', --'.join(_ONE_FOLDER[1:])}, of other data or of another script (see {_OPTIONS}); "
            "choose another --output_folder."
        )
    return text


def facts(args: argparse.Namespace) -> dict[str, Any]:
    """Return the conditions of the measurement: options, machine, date, backend, versions."""
    return {
        "options": {name: str(value) for name, value in vars(args).items()},
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {CORES} cores",
        "backend": keras.backend.backend(),
        "versions": library_versions() | {"scikit-learn": metadata.version("scikit-learn")},
    }
