"""Change the algorithm in many small ways, one at a time, and see whether its tests notice.

    python tests/mutate.py                       # all modules of setup.cfg, as make mutate does
    python tests/mutate.py clusternet.metrics    # one of them
    python tests/mutate.py --share 0.2 --seed 3  # a random fifth of the mutants

mutmut makes the mutants and runs the tests. This script gives it a copy of the project for each
module, with the quick tests that protect the module (section ``mutation`` of setup.cfg), and adds
up what came out. Tests are imported once and each mutant gets a fork of that process: TensorFlow
may have been imported by then, but must not have computed anything.

The report, with every mutant that survived, is ``build/mutation/report.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

import libcst
from libcst import matchers

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "mutation"
COPIED = ("clusternet", "tests", "tools", "configs", "main.py")

SURVIVED, NOT_RUN, NO_TESTS = 0, None, 33


@dataclass(frozen=True)
class Result:
    """What became of the mutants of a module."""

    module: str
    exit_codes: dict[str, int | None]
    """Of the tests of each mutant, by its name."""
    survivors: dict[str, str]
    """Name and difference of those that no test noticed."""
    seconds: float

    @property
    def num_tried(self) -> int:
        return sum(code is not NOT_RUN for code in self.exit_codes.values())

    @property
    def score(self) -> float:
        return 1 - len(self.survivors) / max(self.num_tried, 1)


def read_settings() -> tuple[dict[str, str], list[str]]:
    """Return the tests of each module, and patterns of lines that are left alone."""
    config = ConfigParser(delimiters=("=",))
    config.read(ROOT / "setup.cfg")
    section = dict(config["mutation"])
    ignored = section.pop("ignored_lines").strip().splitlines()
    return section, ignored


def try_module(
    module: str, tests: str, ignored: Sequence[str], share: float, seed: int, children: int
) -> Result:
    """Make the mutants of a module and run its tests on each."""
    begin = time.monotonic()
    folder = WORK / module
    source = Path(*module.split(".")).with_suffix(".py")
    prepare(folder, source, tests.split(), ignored)
    run = "run", "--max-children", str(children)
    meta = folder / "mutants" / f"{source}.meta"
    chosen: list[str] = []
    if share < 1:
        mutmut(folder, *run, "none")  # of this name: makes the mutants
        names = sorted(json.loads(meta.read_text())["exit_code_by_key"])
        chosen = random.Random(seed).sample(names, round(share * len(names)))
    mutmut(folder, *run, *chosen)
    codes = json.loads(meta.read_text())["exit_code_by_key"]
    left = sum(codes[name] is NOT_RUN for name in chosen or codes)
    if left:  # a part is no score
        raise RuntimeError(f"{folder}: mutmut ended before {left} mutants; see run.log.")
    alive = [name for name, code in codes.items() if code in (SURVIVED, NO_TESTS)]
    differences = {name: mutmut(folder, "show", name) for name in alive}
    return Result(module, codes, differences, time.monotonic() - begin)


def prepare(folder: Path, source: Path, tests: Sequence[str], ignored: Sequence[str]) -> None:
    """Copy the project and say what mutmut is to do with it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder / name)
    code = (folder / source).read_text(encoding="utf-8")
    (folder / source).write_text(without_decorators(code), encoding="utf-8")
    project = ConfigParser(delimiters=("=",))
    project.read(ROOT / "setup.cfg")
    config = ConfigParser(delimiters=("=",), interpolation=None)
    config["tool:pytest"] = dict(project["tool:pytest"])
    config["mutmut"] = {
        "source_paths": "clusternet",
        "only_mutate": str(source),
        "also_copy": lines(["tools", "configs", "main.py"]),
        "pytest_add_cli_args_test_selection": lines(f"tests/{name}" for name in tests),
        # mutmut has imported what pytest would rewrite
        "pytest_add_cli_args": lines(["-p", "no:xdist", "-W", "ignore::pytest.PytestWarning"]),
        "do_not_mutate_patterns": lines(ignored),
        "process_isolation": "forkserver",
        "forkserver_warmup": "collect",
        "use_git_change_detection": "false",
    }
    with (folder / "setup.cfg").open("w") as stream:
        config.write(stream)


def lines(values: Sequence[str] | Iterator[str]) -> str:
    return "\n" + "\n".join(values)


def mutmut(folder: Path, *arguments: str) -> str:
    """Run mutmut in a folder; return what it prints."""
    command = [sys.executable, "-c", "from mutmut.__main__ import cli; cli()", *arguments]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode and arguments[0] != "run":
        raise RuntimeError(f"{folder}: mutmut {arguments}: {done.stdout}{done.stderr}")
    (folder / f"{arguments[0]}.log").write_text(done.stdout + done.stderr)
    return done.stdout


class _Decorators(libcst.CSTTransformer):
    """Writes decorators as calls below the function: mutmut leaves decorated functions alone."""

    def leave_FunctionDef(
        self, original_node: libcst.FunctionDef, updated_node: libcst.FunctionDef
    ) -> libcst.BaseStatement | libcst.FlattenSentinel[libcst.BaseStatement]:
        kept = matchers.Decorator(matchers.Name("classmethod") | matchers.Name("staticmethod"))
        own = [one for one in updated_node.decorators if not matchers.matches(one, kept)]
        if not own:
            return updated_node
        others = [one for one in updated_node.decorators if one not in own]
        name = updated_node.name
        calls = [
            libcst.parse_statement(f"{name.value} = {self._code(one.decorator)}({name.value})\n")
            for one in reversed(own)
        ]
        return libcst.FlattenSentinel([updated_node.with_changes(decorators=others), *calls])

    def leave_ClassDef(
        self, original_node: libcst.ClassDef, updated_node: libcst.ClassDef
    ) -> libcst.ClassDef:
        if any("keras" in self._code(base) for base in original_node.bases):
            return updated_node.with_changes(body=updated_node.body.visit(_LeaveConstructor()))
        return updated_node

    @staticmethod
    def _code(node: libcst.CSTNode) -> str:
        return libcst.Module([]).code_for_node(node)


class _LeaveConstructor(libcst.CSTTransformer):
    """Decorates a constructor with nothing, so that mutmut leaves it alone.

    Keras reads the arguments of a layer's constructor, and mutmut would hide them.
    """

    def leave_FunctionDef(
        self, original_node: libcst.FunctionDef, updated_node: libcst.FunctionDef
    ) -> libcst.FunctionDef:
        if original_node.name.value != "__init__":
            return updated_node
        nothing = libcst.Decorator(libcst.parse_expression("(lambda method: method)"))
        return updated_node.with_changes(decorators=[nothing])


def without_decorators(code: str) -> str:
    """Return code of the same meaning without decorators of functions, but for Keras' sake."""
    return libcst.parse_module(code).visit(_Decorators()).code


def report(results: Sequence[Result]) -> str:
    """Return a table of all modules, and what survived in each."""
    rows = [
        f"| {r.module} | {len(r.exit_codes)} | {r.num_tried} | {len(r.survivors)} "
        f"| {r.score:.1%} | {r.seconds:.0f} |"
        for r in results
    ]
    tried = sum(r.num_tried for r in results)
    alive = sum(len(r.survivors) for r in results)
    total = sum(len(r.exit_codes) for r in results)
    seconds = sum(r.seconds for r in results)
    score = f"{1 - alive / max(tried, 1):.1%}"
    text = [
        "| module | mutants | tried | survived | score | seconds |",
        "|---|---|---|---|---|---|",
        *rows,
        f"| all | {total} | {tried} | {alive} | {score} | {seconds:.0f} |",
    ]
    for result in results:
        for name, difference in result.survivors.items():
            text += ["", f"### {name}", "```diff", difference.strip(), "```"]
    return "\n".join(text) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Try the modules asked for, and write the report."""
    tests, ignored = read_settings()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", default=list(tests), help="default: all of setup.cfg")
    parser.add_argument("--share", type=float, default=1.0, help="of the mutants that are tried")
    parser.add_argument("--seed", type=int, default=1, help="of the choice of that share")
    parser.add_argument("--children", type=int, default=2, help="mutants at a time")
    given = parser.parse_args(argv)
    results = []
    for module in given.modules:
        result = try_module(module, tests[module], ignored, given.share, given.seed, given.children)
        results.append(result)
        print(f"{module}: {result.score:.1%} of {result.num_tried}, {result.seconds:.0f} s")
        (WORK / "report.md").write_text(report(results))
    print(report(results).partition("\n\n###")[0])


if __name__ == "__main__":
    main()
