"""The command line: the registry of options, and the parser of all scripts.

Nothing here imports a library that takes long to load, so that ``--help`` and wrong flags are
answered at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import IO, Any, Literal, NoReturn, cast, get_args, get_origin, get_type_hints

import configargparse

from clusternet.command_line.command import load_network_library, print_error, run_command, say
from clusternet.errors import SettingsError
from clusternet.foreign_errors import reason
from clusternet.messages import short_value
from clusternet.nodata import number
from clusternet.settings import (
    TilingSettings,
    TrainingSettings,
    read_yaml,
    unknown_key_message,
)
from clusternet.windows import Shape

__all__ = [
    "OPTIONS",
    "Parser",
    "load_network_library",
    "run_command",
    "say",
    "training_defaults",
    "training_settings",
]

_SHAPE: dict[str, Any] = dict(nargs=2, type=int, metavar=("ROWS", "COLS"))
_PATH: dict[str, Any] = dict(type=Path, metavar="PATH")
_FLAG: dict[str, Any] = dict(action=argparse.BooleanOptionalAction)


def _of_settings(settings: type) -> dict[str, dict[str, Any]]:
    """Return an option for each field of a settings class, made from its annotation."""
    options = {}
    for name, hint in get_type_hints(settings, include_extras=True).items():
        kind, text, *more = get_args(hint)
        options[name] = _argument(kind) | {"help": text} | (more[0] if more else {})
    return options


def _argument(kind: Any) -> dict[str, Any]:
    """Return the keywords with which argparse reads values of a type."""
    members = get_args(kind)
    if get_origin(kind) is Literal:
        return {"choices": members}
    if {int, float} <= set(members):
        return {"type": number}
    if NoneType in members:
        return _argument(members[0])
    return {bool: _FLAG, Shape: _SHAPE}.get(kind, {"type": kind})


_OTHERS: dict[str, dict[str, Any]] = {
    # shared
    "output": _PATH | dict(help="run folder to write (default: runs/ and the name of PATCHES)"),
    "output_folder": _PATH | dict(help="folder to write to"),
    "overwrite": dict(action="store_true", help="replace an output that ClusterNet wrote"),
    # tools/patch_generator.py
    "masks_folder": _PATH | dict(help="folder of label rasters to tile with the same windows, "
        "named as their rasters or with _mask appended; 255 will mark pixels without a label, "
        "and classes.json names the classes"),
    # main.py
    "test_img_folder": _PATH | dict(help="patches to write cluster maps of after every epoch"),
    "out_pred_masks_test": _PATH | dict(help="where those maps go (default: test_maps in the run)"),
    "resume": dict(action="store_true", help="continue the run in the output folder"),
    "current_epoch": dict(type=int, metavar="EPOCH", help="number to start counting epochs at"),
    "pretrained_weights": _PATH | dict(help="model.keras of another run, or a .weights.h5 file, "
        "to start from"),
    "out_weights_file": _PATH | dict(help="also write the final weights here (.weights.h5)"),
    # tools/full_prediction.py
    "assign": dict(choices=("codebook", "head"), help="clusters by the nearest centroid, or by "
        "the softmax head"),
    "window_size": dict(type=int, metavar="PIXELS", help="side of the windows that are predicted; "
        "memory grows with its square, the map does not depend on it"),
    "confidence": _FLAG | dict(help="also write the confidence of each pixel's cluster, 0 to 254"),
    "features": _FLAG | dict(help="also write the features, one byte each"),
    "cog": _FLAG | dict(help="write cloud-optimised GeoTIFFs with overviews"),
    "skip_existing": dict(action="store_true", help="continue an interrupted prediction: keep maps "
        "made from the same raster, run and options; other maps of ClusterNet are replaced"),
    # labels
    "class_field": dict(metavar="FIELD", help="field of vector labels that holds the class "
        "(default: class)"),
    "layer": dict(metavar="NAME", help="layer to read of vector files with several layers"),
    "background": dict(type=int, metavar="CLASS", help="class of pixels under no shape of vector "
        "labels (default: unlabelled)"),
    # tools/clusters2classes.py
    "legend": _PATH | dict(help="legend.csv to apply, instead of labels"),
    "run": _PATH | dict(help="run folder that the maps come from; needed to find the nearest "
        "labelled cluster, and to compare methods"),
    "unlabelled": dict(choices=("nearest", "unknown"), help="class of clusters without labelled "
        "pixels: that of the nearest labelled centroid, or unknown"),
    "rasters": _PATH | dict(help="raster that the maps come from, or folder of them (default: "
        "where the maps say that they come from)"),
    "rule": dict(choices=("auto", "clusters", "classifier", "majority", "binary"), help="auto "
        "compares naming clusters with classifiers of features, on labels held back; it needs the "
        "run and the rasters. classifier compares these alone; clusters or majority: clusters get "
        "the class of most labelled pixels; binary, as in the published code: labels are 0 and 1, "
        "and a cluster becomes 1 if its share of 1 reaches --keep_clust_threshold, else 0 "
        "(default: auto where run and rasters are known, else clusters)"),
    "prefer": dict(metavar="AIM[:CLASS]", help="what matters: recall, precision or iou, of all "
        "classes or of one, as in recall:roof; found on labels that are held back"),
    "keep_clust_threshold": dict(type=float, metavar="SHARE", help="with --rule binary: smallest "
        "share of 1 among the labelled pixels of a cluster that becomes 1"),
    "gt_fraction": dict(type=float, metavar="SHARE", help="share of the label files that are "
        "used, drawn at random"),
    "polygons": _PATH | dict(help="also write polygons to this GeoPackage"),
    "sieve": dict(type=int, metavar="PIXELS", help="for polygons: areas of fewer pixels take the "
        "class of their largest neighbour"),
    "min_area": dict(type=int, metavar="PIXELS", help="for polygons: leave smaller ones out"),
    "simplify": dict(type=float, metavar="PIXELS", help="for polygons: tolerance of simplified "
        "borders"),
    # tools/rasterization.py
    "burn_value": dict(type=int, metavar="CLASS", help="give all shapes this class"),
    "order_field": dict(metavar="FIELD", help="burn in ascending order of this field, so that "
        "higher values lie on top (default: order of the file)"),
    "all_touched": _FLAG | dict(help="label every pixel that a shape touches, not only those "
        "whose centre it covers"),
    # tools/interactive.py
    "strokes": _PATH | dict(help="strokes drawn before (.gpkg, .geojson), or any points, lines and "
        "areas with a class"),
    "drawn_on": _PATH | dict(help="raster that the strokes were drawn on, if it is another one "
        "of the same run"),
    "stroke_rule": dict(choices=("perceptron", "logistic", "centroids", "clusters", "forest"),
        help="how strokes become classes; clusters is the published rule"),
    "smooth": dict(type=int, metavar="PIXELS", help="side of the squares that smooth a map along "
        "edges of the image; 1 leaves every pixel its own class"),
    "cache_folder": _PATH | dict(help="where the scene's features are kept, about 100 bytes a "
        "pixel (default: beside the run)"),
    "host": dict(help="address to serve the page on; 0.0.0.0 lets other machines in, with a token "
        "that is printed"),
    "port": dict(type=int, help="port to serve the page on; 0 takes a free one"),
    "browser": _FLAG | dict(help="open the page in the default browser"),
    # tools/evaluation.py
    "history": dict(type=Path, metavar="RUN", help="also score the test maps of each epoch of "
        "this run, trained with --test_img_folder; with LABELS but no MAPS, only these"),
    "clusters": _FLAG | dict(help="the maps hold clusters, or classes (default: as their metadata "
        "state, else classes)"),
    "classes": _PATH | dict(help="classes.json or legend.csv: names of the classes that labels "
        "may hold"),
    "ignore_label": dict(type=int, metavar="LABEL", help="label value of pixels without a label, "
        "in addition to the file's nodata value (default: 255 in 8-bit rasters)"),
    "labelled_fraction": dict(type=float, metavar="FRACTION", help="for cluster maps: share of "
        "blocks of 128 x 128 pixels whose labels are used to name the clusters"),
    "draws": dict(type=int, help="for cluster maps: how often such blocks are drawn"),
}  # fmt: skip

OPTIONS = _of_settings(TilingSettings) | _of_settings(TrainingSettings) | _OTHERS
"""The keywords of argparse's ``add_argument`` for each option."""

_PATHS = {name for name, option in OPTIONS.items() if option.get("type") is Path}
_NOT_IN_FILES = _PATHS | {"overwrite", "resume", "skip_existing", "config", "help"}


class Parser(configargparse.ArgumentParser):  # type: ignore[misc]
    """argparse with ``--config FILE.yaml``, one-line errors, and no abbreviations."""

    def __init__(self, description: str) -> None:
        """Start a parser whose help opens with ``description``."""
        super().__init__(
            description=description,
            allow_abbrev=False,
            config_file_parser_class=type("_", (_CheckedFileParser,), {"parser": self}),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_config_file_help=False,  # --config says it shorter
            add_env_var_help=False,
            config_file_open_func=_open_config,
        )
        # argparse takes -9999 for a value, but -3.4e38, a common nodata value, for a flag. The
        # pattern that decides has no public name.
        self._negative_number_matcher = re.compile(r"-(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$", re.I)

    @property
    def actions(self) -> list[argparse.Action]:
        """All arguments, in the order of the help."""
        return list(self._actions)  # argparse has no public name for them

    def add(
        self,
        names: Sequence[str],
        defaults: Mapping[str, Any] | None = None,
        *,
        required: bool = False,
    ) -> None:
        """Add options of the registry, with their defaults shown in the help."""
        for name in names:
            option = dict(OPTIONS[name])
            if required:
                option["required"] = True
            default = (defaults or {}).get(name)
            if default is not None:
                shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
                if isinstance(default, bool):
                    shown = "yes" if default else "no"
                option["default"] = default
                option["help"] += f" (default: {shown})"
            self.add_argument(f"--{name}", **option)

    def add_config(self) -> None:
        """Add ``--config``, a YAML file of options."""
        self.add_argument(
            "--config", is_config_file=True, metavar="FILE.yaml",
            type=lambda text: Path(text).expanduser(),
            help="YAML file of options (not of paths); flags win over it",
        )  # fmt: skip

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and one line."""
        print_error(f"{' '.join(message.split())} (--help lists the options)")
        raise SystemExit(2)

    def parse_known_intermixed_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse as argparse does, but refuse unknown arguments by name."""
        parsed, rest = super().parse_known_intermixed_args(args, namespace)
        self._refuse_rest(rest, args)
        return parsed, rest

    def parse_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse as argparse does, but refuse unknown arguments by name."""
        parsed, rest = self.parse_known_args(args, namespace)
        self._refuse_rest(rest, args)
        return cast(argparse.Namespace, parsed)

    def _refuse_rest(self, rest: list[str], args: Sequence[str] | None) -> None:
        if not rest:
            return
        first, given = rest[0], list(sys.argv[1:] if args is None else args)
        if first.startswith("-"):
            flag = first.partition("=")[0].lstrip("-")
            known = [name[2:] for action in self.actions for name in action.option_strings]
            self.error(unknown_key_message(flag, known, prefix="--"))
        before = given[: len(given) - 1 - given[::-1].index(first)]
        flags = [index for index, text in enumerate(before) if text.startswith("--")]
        after = f" after {' '.join(before[flags[-1] :])}" if flags else ""
        self.error(f"unexpected '{first}'{after}: nothing more is expected there.")


def _open_config(path: str) -> IO[str]:
    try:
        return Path(path).open(encoding="utf-8")
    except OSError as error:
        raise SettingsError(reason(error)) from error  # the parser names the file


class _CheckedFileParser(configargparse.YAMLConfigFileParser):  # type: ignore[misc]
    """A YAML reader that names the file and the key when something is wrong."""

    parser: Parser

    def parse(self, stream: Any) -> dict[str, str | list[str]]:
        """Return the values as text, as on the command line."""
        try:
            values = read_yaml(Path(stream.name))
        except SettingsError as error:
            raise configargparse.ConfigFileParserException(str(error)) from error
        actions = {action.dest: action for action in self.parser.actions}
        known = sorted(actions.keys() - _NOT_IN_FILES)
        texts: dict[str, str | list[str]] = {}
        for key, value in values.items():
            problem = None
            if key in _NOT_IN_FILES or (key in actions and not actions[key].option_strings):
                problem = f"'{key}' belongs on the command line, not in a settings file."
            elif key not in known:
                problem = unknown_key_message(str(key), known)
            elif value is not None:  # None means the default
                problem = _value_problem(actions[key], value)
                texts[key] = list(map(str, value)) if isinstance(value, list) else str(value)
            if problem is not None:
                raise configargparse.ConfigFileParserException(f"{stream.name}: {problem}")
        return texts


_NUMBERS: dict[Any, str] = {int: "a whole number", float: "a number", number: "a number"}


def _value_problem(action: argparse.Action, value: Any) -> str | None:
    """Return the message for a wrong value of a settings file; None if it is right."""
    values = value if isinstance(value, list) else [value]
    if isinstance(action, argparse.BooleanOptionalAction):
        expected = None if isinstance(value, bool) else "yes or no"
    elif action.nargs is None and isinstance(value, (list, dict)):
        expected = "one value"
    elif isinstance(action.nargs, int) and len(values) != action.nargs:
        expected = f"a list of {action.nargs} values"
    elif action.choices is not None and not set(values) <= set(action.choices):
        expected = f"one of {', '.join(action.choices)}"
    else:
        expected = None if _converts(action.type, values) else _NUMBERS[action.type]
    return expected and f"{action.dest}: expected {expected}, received {short_value(value)}."


def _converts(kind: Any, values: list[Any]) -> bool:
    try:
        for value in values:
            if kind in _NUMBERS:
                kind(str(value))  # as text, because int(2.7) and int(True) would succeed
    except ValueError:
        return False
    return True


def training_defaults() -> dict[str, Any]:
    """Return the default of each training setting by name."""
    return {field.name: field.default for field in dataclasses.fields(TrainingSettings)}


def training_settings(args: argparse.Namespace) -> TrainingSettings:
    """Build the training settings from parsed arguments."""
    values = {name: getattr(args, name) for name in training_defaults()}
    return TrainingSettings.from_mapping(values)
