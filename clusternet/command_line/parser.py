"""The parser of all commands: a file of settings, one-line errors, no abbreviations.

Nothing here imports a library that takes long to load, so that ``--help`` and wrong flags are
answered at once.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import configargparse

from clusternet.command_line.command import print_error
from clusternet.command_line.configs import settings_file, shipped_files
from clusternet.command_line.options import OPTIONS, raster_argument
from clusternet.errors import SettingsError
from clusternet.foreign_errors import reason
from clusternet.messages import short_value, unknown_key_message
from clusternet.nodata import number
from clusternet.yaml_files import read_yaml

_PATHS = {name for name, option in OPTIONS.items() if option.get("type") in (Path, raster_argument)}
_NOT_IN_FILES = _PATHS | {
    "overwrite", "resume", "skip_existing", "config", "help", "verbosity",
}  # fmt: skip


class Parser(configargparse.ArgumentParser):  # type: ignore[misc]
    """argparse with ``--config FILE.yaml``, one-line errors, and no abbreviations."""

    def __init__(self, description: str, prog: str | None = None) -> None:
        """Start a parser whose help opens with ``description``.

        Args:
            description: what the command does, and examples.
            prog: what was typed to call it (default: the name of the script).
        """
        super().__init__(
            prog=prog,
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
        add_verbosity(self)

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
            "--config", is_config_file=True, metavar="FILE.yaml", type=settings_file,
            help="YAML file of options (not of paths), or the name of one that comes with "
            f"ClusterNet ({', '.join(shipped_files())}); flags win over it",
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


def add_verbosity(parser: argparse.ArgumentParser) -> None:
    """Add ``-v`` and ``-q``; the result is ``verbosity``: -1, 0 or 1."""
    group = parser.add_mutually_exclusive_group()
    for flags, value, text in (
        (("-v", "--verbose"), 1, "also print versions, time and memory"),
        (("-q", "--quiet"), -1, "print results, warnings and errors only"),
    ):
        group.add_argument(
            *flags, dest="verbosity", action="store_const", const=value, default=0, help=text
        )


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
