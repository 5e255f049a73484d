"""The layers of the package, and what no module or script may do."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT

# Imports go to an equal or smaller number, never in a circle. The number of a package holds for
# all its modules.
LAYERS = {
    # what everything may use: no rasters, no network
    "clusternet.apart": 0,
    "clusternet.band_identity": 0,
    "clusternet.class_names": 0,
    "clusternet.colours": 0,
    "clusternet.errors": 0,
    "clusternet.files": 0,
    "clusternet.folders": 0,
    "clusternet.foreign_errors": 0,
    "clusternet.gdal_messages": 0,
    "clusternet.interrupts": 0,
    "clusternet.locks": 0,
    "clusternet.limited_memory": 0,
    "clusternet.messages": 0,
    "clusternet.network_shape": 0,
    "clusternet.nodata": 0,
    "clusternet.plain_paths": 0,
    "clusternet.owners": 0,
    "clusternet.placing": 0,
    "clusternet.prefetch": 0,
    "clusternet.process_setup": 0,
    "clusternet.processes": 0,
    "clusternet.progress": 0,
    "clusternet.settings": 0,
    "clusternet.value_types": 0,
    "clusternet.side_files": 0,
    "clusternet.spreadsheet": 0,
    "clusternet.text_files": 0,
    "clusternet.types": 0,
    "clusternet.waiting": 0,
    "clusternet.windows": 0,
    # one library or one kind of thing each
    "clusternet.array_files": 1,
    "clusternet.augmentation": 1,
    "clusternet.backend": 1,
    "clusternet.bands": 1,
    "clusternet.class_list": 1,
    "clusternet.class_meeting": 1,
    "clusternet.clustering": 1,
    "clusternet.filter_bank": 1,
    "clusternet.label_inventory": 1,
    "clusternet.label_rules": 1,
    "clusternet.land_classes": 1,
    "clusternet.legend": 1,
    "clusternet.metrics": 1,
    "clusternet.model": 1,
    "clusternet.pictures": 1,
    "clusternet.raster": 1,
    "clusternet.sampling": 1,
    "clusternet.vector_classes": 1,
    "clusternet.vector_files": 1,
    "clusternet.vectors": 1,
    "clusternet.weight_files": 1,
    # what is kept on disk, and parts of the work
    "clusternet.baselines": 2,
    "clusternet.band_fit": 2,
    "clusternet.batches": 2,
    "clusternet.cluster_maps": 2,
    "clusternet.draws": 2,
    "clusternet.epoch_scores": 2,
    "clusternet.evaluation_classes": 2,
    "clusternet.evaluation_report": 2,
    "clusternet.figures": 2,
    "clusternet.label_files": 2,
    "clusternet.map_outputs": 2,
    "clusternet.map_states": 2,
    "clusternet.naming": 2,
    "clusternet.pairing": 2,
    "clusternet.patch_files": 2,
    "clusternet.patch_readers": 2,
    "clusternet.patches": 2,
    "clusternet.polygons": 2,
    "clusternet.prediction_grid": 2,
    "clusternet.previews": 2,
    "clusternet.report_page": 2,
    "clusternet.run": 2,
    "clusternet.run_files": 2,
    "clusternet.run_identity": 2,
    "clusternet.scene": 2,
    "clusternet.survey": 2,
    "clusternet.tally": 2,
    "clusternet.tiling": 2,
    "clusternet.tiling_chunks": 2,
    "clusternet.tiling_inputs": 2,
    "clusternet.voting": 2,
    # what a script calls, and what makes it up
    "clusternet.alternation": 3,
    "clusternet.classes": 3,
    "clusternet.epochs": 3,
    "clusternet.evaluation": 3,
    "clusternet.interactive": 3,
    "clusternet.prediction": 3,
    "clusternet.predictor": 3,
    "clusternet.pseudo_labels": 3,
    "clusternet.report": 3,
    "clusternet.run_outputs": 3,
    "clusternet.demo": 3,
    "clusternet.training": 3,
    # what scripts alone use
    "clusternet.command": 4,
    "clusternet.options": 4,
    # the public names, gathered
    "clusternet": 4,
}
PACKAGE = {
    path.relative_to(ROOT).with_suffix("").as_posix().removesuffix("/__init__").replace("/", "."): (
        path
    )
    for path in sorted((ROOT / "clusternet").rglob("*.py"))
}
SCRIPTS = [ROOT / "main.py", *sorted((ROOT / "tools").glob("*.py"))]
HEAVY = ("tensorflow", "keras", "jax", "faiss", "rasterio")

modules = pytest.mark.parametrize("name", PACKAGE)
scripts = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, inside functions too; our own by their full name.

    What only type checkers see, below ``if TYPE_CHECKING:``, is left out.
    """
    found = set()
    unseen = {
        id(node)
        for block in ast.walk(parsed(path))
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(parsed(path)):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in PACKAGE else str(node.module) for name in names}
    return found


def uses(path: Path, library: str) -> bool:
    return any(name.partition(".")[0] == library for name in imports(path))


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call))


def layer(name: str) -> int:
    """Return the layer of a module; KeyError if the table lacks it."""
    parent = name.rpartition(".")[0]
    return LAYERS[name] if name in LAYERS or parent == "clusternet" else layer(parent)


@modules
def test_every_module_has_a_layer(name: str) -> None:
    assert layer(name) in range(5)


@modules
def test_imports_go_to_an_equal_or_smaller_layer(name: str) -> None:
    own = {module for module in imports(PACKAGE[name]) if module in PACKAGE}
    assert [module for module in own if layer(module) > layer(name)] == []


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


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("rasterio", "clusternet.raster"),
        ("faiss", "clusternet.clustering"),
        ("pyogrio", "clusternet.vector_files"),
        ("tensorflow", "clusternet.backend"),
        ("keras", "clusternet.backend"),
        ("tqdm", "clusternet.progress"),  # whose bar answers signals
        ("jax", "clusternet.backend"),
        ("configargparse", "clusternet.options"),
    ],
)
def test_a_library_has_one_home(library: str, home: str) -> None:
    users = [name for name, path in PACKAGE.items() if uses(path, library)]
    assert users and [name for name in users if not f"{name}.".startswith(f"{home}.")] == []
    assert [path.name for path in SCRIPTS if uses(path, library)] == []


def test_only_scripts_use_the_command_line() -> None:
    own = {"clusternet.options", "clusternet.command"}
    users = {name for name, path in PACKAGE.items() if own & imports(path)}
    assert users - own == set()


@modules
def test_the_package_holds_no_assert(name: str) -> None:
    lines = [node.lineno for node in ast.walk(parsed(PACKAGE[name])) if type(node) is ast.Assert]
    assert lines == []


@pytest.mark.parametrize("path", [*PACKAGE.values(), *SCRIPTS], ids=lambda path: path.name)
def test_nothing_is_unpickled_or_evaluated(path: Path) -> None:
    assert not any(uses(path, name) for name in ("pickle", "dill", "joblib", "shelve", "marshal"))
    for call in calls(path):
        assert not (isinstance(call.func, ast.Name) and call.func.id in ("eval", "exec"))
        for keyword in call.keywords:
            assert keyword.arg != "allow_pickle" or ast.unparse(keyword.value) == "False"
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func) == "np.load":
            assert "allow_pickle" in {keyword.arg for keyword in call.keywords}


@modules
def test_only_scripts_print(name: str) -> None:
    prints = [
        ast.unparse(call)
        for call in calls(PACKAGE[name])
        if isinstance(call.func, ast.Name) and call.func.id == "print"
    ]
    if name == "clusternet.command":  # the scripts' own part: results, and errors on stderr
        prints = [t for t in prints if "file=sys.stderr" not in t and "printable(" not in t]
    assert prints == []


@pytest.mark.parametrize("path", [*PACKAGE.values(), *SCRIPTS], ids=lambda path: path.name)
def test_no_except_is_bare(path: Path) -> None:
    handlers = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.ExceptHandler)]
    assert [handler.lineno for handler in handlers if handler.type is None] == []


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


@scripts
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


@scripts
def test_a_script_answers_signals_before_it_imports_more(script: Path) -> None:
    _, future, first, own, *_ = parsed(script).body
    assert ast.unparse(future) == "from __future__ import annotations"
    assert ast.unparse(first) == "from clusternet.interrupts import interrupts"
    assert ast.unparse(own) == "if __name__ == '__main__':\n    interrupts.own_process()"


@scripts
def test_a_script_has_its_three_parts(script: Path) -> None:
    body = parsed(script).body
    functions = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    assert ast.get_docstring(parsed(script)) and {"build_parser", "main"} <= functions
    assert ast.unparse(body[-1]) == "if __name__ == '__main__':\n    main()"
