"""Write the table of flags of all commands into docs/cli.md, from their parsers.

python tools/flag_table.py
python tools/flag_table.py --check
"""

from __future__ import annotations

from clusternet.processes.interrupts import interrupts

if __name__ == "__main__":
    interrupts.own_process()  # before the imports below: a signal meanwhile is answered, too

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clusternet.command_line.command import run_command
from clusternet.command_line.parser import Parser
from clusternet.commands.table import SUMMARIES, command_module
from clusternet.errors import OutputError
from clusternet.files.outputs import new_file

ROOT = Path(__file__).resolve().parents[1]
START, END = "<!-- flags:start -->", "<!-- flags:end -->"
_CALLS = re.compile(r"^from clusternet\.commands\.(\w+) import build_parser", re.MULTILINE)
_IN_ALL = ("help", "verbosity")
_PLACEHOLDERS = {int: "N", float: "X"}


def scripts() -> dict[str, Path]:
    """Return the scripts that call a command, by the name of the command."""
    found = {}
    for path in (ROOT / "main.py", *sorted((ROOT / "tools").glob("*.py"))):
        if name := _CALLS.search(path.read_text(encoding="utf-8")):
            found[name[1]] = path
    return found


def flag_tables() -> str:
    """Return one Markdown table for each command: flag, default, meaning."""
    paths = scripts()
    return "\n\n".join("\n".join(_table(name, paths.get(name))) for name in SUMMARIES)


def with_tables(text: str) -> str:
    """Return ``text`` with the block between the two markers written anew.

    Raises:
        OutputError: if the markers are not there, once each and in order.
    """
    if text.count(START) != 1 or text.count(END) != 1 or text.index(START) > text.index(END):
        raise OutputError(f"Expected '{START}' and '{END}' in the text, once each.")
    before, after = text.split(START)[0], text.split(END)[1]
    return f"{before}{START}\n\n{flag_tables()}\n\n{END}{after}"


def _table(name: str, script: Path | None) -> Iterator[str]:
    actions = command_module(name).build_parser().actions
    paths = [action for action in actions if not action.option_strings]
    yield f"## `{' '.join(('clusternet', name, *map(_path, paths)))}`"
    yield ""
    if script is not None:
        yield f"`python {script.relative_to(ROOT).as_posix()}` is the same."
        yield ""
    yield "| flag | default | meaning |"
    yield "|---|---|---|"
    for action in actions:
        if action.dest not in _IN_ALL:
            yield "| " + " | ".join(_cells(action)) + " |"


def _cells(action: argparse.Action) -> tuple[str, str, str]:
    text = " ".join((action.help or "").split())
    meaning, default = text, ""
    if found := re.search(r" \(default: ([^()]*)\)$", text):
        meaning, default = text[: found.start()], found[1]
    elif action.required:
        default = "required"
    name = _path(action) if not action.option_strings else _flag(action)
    return f"`{name}`", default.replace("|", r"\|"), meaning.replace("|", r"\|")


def _path(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest.upper())
    return {"?": f"[{name}]", "+": f"{name} ..."}.get(str(action.nargs), name)


def _flag(action: argparse.Action) -> str:
    flag = action.option_strings[0]
    if isinstance(action, argparse.BooleanOptionalAction):
        return f"--[no-]{flag.removeprefix('--')}"
    if action.nargs == 0:
        return flag
    if action.choices is not None:
        return f"{flag} {{{','.join(action.choices)}}}"
    if isinstance(action.metavar, tuple):
        return " ".join((flag, *action.metavar))
    kind: Any = action.type
    return f"{flag} {action.metavar or _PLACEHOLDERS.get(kind, 'TEXT')}"


def build_parser() -> Parser:
    """Declare the command line."""
    parser = Parser(__doc__ or "")
    parser.add_argument(
        "text", type=Path, nargs="?", metavar="TEXT", default=ROOT / "docs" / "cli.md",
        help="the file to write the tables into",
    )  # fmt: skip
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the tables are out of date"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, write the tables, and print where they are."""
    args = build_parser().parse_args(argv)

    def command() -> None:
        if not args.text.is_file():
            raise OutputError(f"{args.text}: expected a text to write the tables into, found none.")
        text = args.text.read_text(encoding="utf-8")
        fresh = with_tables(text)
        if args.check and fresh != text:
            raise OutputError(f"{args.text}: flags are out of date; run tools/flag_table.py.")
        if fresh != text:
            with interrupts.listening(), new_file(args.text, overwrite=True) as part:
                part.write_text(fresh, encoding="utf-8")
        print(f"{args.text}: {'up to date' if fresh == text else 'flags written'}")

    run_command(command)


if __name__ == "__main__":
    main()
