"""The rooms of the package in the order of the pipeline, and what no module or script may do."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT

# Imports go from later rooms to earlier ones. The first is the top folder, which all may use.
ROOMS = (
    "",
    "processes",
    "distributed",
    "files",
    "legend",
    "pages",
    "raster",
    "clustering",
    "network",
    "patches",
    "backbone",
    "labels",
    "tiling",
    "training",
    "prediction",
    "learning",
    "fine_tuning",
    "classes",
    "evaluation",
    "areas",
    "interactive",
    "demo",
    "command_line",
    "commands",
)
# Libraries that one room or module hides from the others
HOMES = {
    "rasterio": "clusternet.raster",
    "pyogrio": "clusternet.raster.vector_library",
    "faiss": "clusternet.clustering.kmeans",
    "keras_hub": "clusternet.backbone.hub",
    "tensorflow": "clusternet.network.backend",
    "keras": "clusternet.network.backend",
    "jax": "clusternet.network.backend",
    "tqdm": "clusternet.processes.progress",  # whose bar answers signals
    "configargparse": "clusternet.command_line.parser",
    "shtab": "clusternet.commands.completion",
    "ray": "clusternet.distributed.ray_library",
}
LONGEST_FUNCTION = 60
LONGEST_MODULE = 350
HEAVY = ("tensorflow", "keras", "jax", "faiss", "rasterio")

PACKAGE = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "clusternet").rglob("*.py"))
    if path.name != "__main__.py"  # a script
}
SCRIPTS = [ROOT / "main.py", *sorted((ROOT / "tools").glob("*.py"))]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def nodes(path: Path, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
    return (node for node in ast.walk(parsed(path)) if isinstance(node, kinds))


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, inside functions too; our own by their full name.

    What only type checkers see, below ``if TYPE_CHECKING:``, is left out.
    """
    unseen = {
        id(node)
        for block in nodes(path, ast.If)
        if ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found = set()
    for node in nodes(path, ast.Import, ast.ImportFrom):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in PACKAGE else str(node.module) for name in names}
    return found


def uses(path: Path, library: str) -> bool:
    return any(name.partition(".")[0] == library for name in imports(path))


def room(module: str) -> str:
    """Return the room of a module, ``""`` for the top folder."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (ROOT / "clusternet" / parts[1]).is_dir() else ""


def offenders(breaks_the_rule: Callable[[Path], object], paths: list[Path]) -> list[str]:
    """Return the files, relative to the checkout, for which a rule is broken."""
    return [str(path.relative_to(ROOT)) for path in paths if breaks_the_rule(path)]


def test_every_folder_is_a_room() -> None:
    folders = {path.parent.name for path in (ROOT / "clusternet").glob("*/__init__.py")}
    assert folders == set(ROOMS) - {""}


def test_imports_go_from_later_rooms_to_earlier_ones() -> None:
    back = [
        f"{name} imports {module}"
        for name, path in PACKAGE.items()
        for module in imports(path) & PACKAGE.keys() - {"clusternet"}
        if name != "clusternet" and ROOMS.index(room(module)) > ROOMS.index(room(name))
    ]
    assert back == []


def test_imports_never_go_in_a_circle() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"circle: {' -> '.join((*path, name))}"
        if name not in done:
            for module in imports(PACKAGE[name]) & PACKAGE.keys() - {name}:
                visit(module, (*path, name))
            done.add(name)

    for name in PACKAGE:
        visit(name, ())


def test_imports_are_absolute() -> None:
    paths = [*PACKAGE.values(), *SCRIPTS]
    relative = [p for p in paths for n in nodes(p, ast.ImportFrom) if n.level]
    assert relative == []


@pytest.mark.parametrize(("library", "home"), HOMES.items())
def test_a_library_has_one_home(library: str, home: str) -> None:
    users = [name for name, path in PACKAGE.items() if uses(path, library)]
    assert users and [name for name in users if not f"{name}.".startswith(f"{home}.")] == []
    assert offenders(lambda path: uses(path, library), SCRIPTS) == []


def test_only_commands_use_the_command_line() -> None:
    own = {"command_line", "commands"}
    users = [
        name
        for name, path in PACKAGE.items()
        if room(name) not in own and own & set(map(room, imports(path)))
    ]
    assert users == []


def test_a_function_fits_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in [*PACKAGE.values(), *SCRIPTS]
        for node in nodes(path, ast.FunctionDef, ast.AsyncFunctionDef)
        if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_a_module_fits_a_head() -> None:
    def is_long(path: Path) -> bool:
        return len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_MODULE

    assert offenders(is_long, [*PACKAGE.values(), *SCRIPTS]) == []


def test_the_package_holds_no_assert() -> None:
    assert offenders(lambda path: any(nodes(path, ast.Assert)), [*PACKAGE.values()]) == []


def test_no_except_is_bare() -> None:
    def bare(path: Path) -> bool:
        return any(n.type is None for n in nodes(path, ast.ExceptHandler))

    assert offenders(bare, [*PACKAGE.values(), *SCRIPTS]) == []


def _loads_code(path: Path) -> bool:
    if any(uses(path, name) for name in ("pickle", "dill", "joblib", "shelve", "marshal")):
        return True
    for call in nodes(path, ast.Call):
        name = ast.unparse(call.func)
        keywords = {k.arg: ast.unparse(k.value) for k in call.keywords}
        if name in ("eval", "exec") or keywords.get("allow_pickle", "False") != "False":
            return True
        if name == "np.load" and "allow_pickle" not in keywords:
            return True
    return False


def test_nothing_is_unpickled_or_evaluated() -> None:
    assert offenders(_loads_code, [*PACKAGE.values(), *SCRIPTS]) == []


def test_only_scripts_print() -> None:
    def prints(path: Path) -> bool:
        calls = [ast.unparse(call) for call in nodes(path, ast.Call)]
        # command.py is the scripts' own part: results, and errors on standard error
        own = ("file=sys.stderr", "printable(") if path.stem == "command" else ("shtab",)
        return any(t.startswith("print(") and not any(o in t for o in own) for t in calls)

    assert offenders(prints, [*PACKAGE.values()]) == []


def loaded_by(code: str) -> tuple[str, set[str]]:
    """Run code in a fresh interpreter; return what it printed and the heavy modules it loaded."""
    watch = f"import sys; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\n{watch}"],
        cwd=ROOT, text=True, capture_output=True, check=True,
    )  # fmt: skip
    *printed, last = found.stdout.splitlines()
    return "\n".join(printed), set(ast.literal_eval(last))


def test_importing_the_package_is_light() -> None:
    assert loaded_by("import clusternet")[1] == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_help_is_light(script: Path) -> None:
    printed, heavy = loaded_by(
        "import runpy, sys\n"
        f"sys.argv = [{script.name!r}, '--help']\n"
        "try:\n"
        f"    runpy.run_path({str(script)!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
    )
    assert "usage:" in printed and heavy == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_answers_signals_before_it_imports_more(script: Path) -> None:
    _, future, first, own, *_ = parsed(script).body
    assert ast.unparse(future) == "from __future__ import annotations"
    assert ast.unparse(first) == "from clusternet.processes.interrupts import interrupts"
    assert ast.unparse(own) == "if __name__ == '__main__':\n    interrupts.own_process()"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_has_its_three_parts(script: Path) -> None:
    body = parsed(script).body
    names = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    names |= {
        a.asname or a.name for node in body if isinstance(node, ast.ImportFrom) for a in node.names
    }
    assert ast.get_docstring(parsed(script)) and {"build_parser", "main"} <= names
    assert ast.unparse(body[-1]) == "if __name__ == '__main__':\n    main()"


def test_the_program_answers_signals_before_it_imports_more() -> None:
    path = ROOT / "clusternet" / "__main__.py"
    *_, run, start = parsed(path).body
    assert {name for name in imports(path) if name != "__future__.annotations"} == {
        "__future__", "clusternet.processes.interrupts", "clusternet.commands.program"
    }  # fmt: skip
    assert ast.unparse(run.body[1]) == "interrupts.own_process()"
    assert ast.unparse(start) == "if __name__ == '__main__':\n    run()"
