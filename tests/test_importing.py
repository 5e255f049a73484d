"""Importing the package changes nothing of the process that imports it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from test_architecture import PACKAGE, imports, parsed

# Libraries do such things themselves when they are imported, so they come first.
_WATCH = """
import importlib, json, logging, os, signal, sys, threading, warnings
from contextlib import suppress

def descriptors():
    found = {}
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one that lists them
            found[number] = os.readlink(f"/proc/self/fd/{number}")
    return found

def loggers():
    every = [logging.root, *map(logging.getLogger, sorted(logging.root.manager.loggerDict))]
    return {
        l.name: (l.level, l.propagate, l.disabled, len(l.handlers), len(l.filters))
        for l in every if not l.name.startswith("clusternet")
    }

def threads():
    import faiss
    from threadpoolctl import threadpool_info
    pools = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    names = sorted(thread.name for thread in threading.enumerate())
    return [faiss.omp_get_max_threads(), *sorted(pools)], names

def state():
    import keras, matplotlib, numpy, PIL.Image
    return {
        "environment": dict(os.environ),
        "loggers": loggers(),
        "warnings": [str(f) for f in warnings.filters],
        "signals": {str(s): str(signal.getsignal(s)) for s in signal.valid_signals()},
        "descriptors": descriptors(),
        "streams": [id(sys.stdout), id(sys.stderr), id(sys.excepthook), id(sys.unraisablehook)],
        "threads": threads(),
        "limits": [sys.getrecursionlimit(), PIL.Image.MAX_IMAGE_PIXELS],
        "numpy": str(numpy.geterr()),
        "matplotlib": matplotlib.get_backend(auto_select=False),
        "keras": keras.config.image_data_format(),
    }
"""


def test_importing_every_module_changes_nothing(tmp_path: Path) -> None:
    libraries = set().union(*map(imports, PACKAGE.values())) - PACKAGE.keys()
    libraries = {name for name in libraries if not name.startswith("clusternet")}
    libraries -= {"jax"}  # only with its own backend
    code = f"""{_WATCH}
for name in {sorted(libraries)}:
    with suppress(ModuleNotFoundError):  # a name of a module, not a module
        importlib.import_module(name)
before = state()
for name in {sorted(PACKAGE)}:
    importlib.import_module(name)
after = state()
print(json.dumps({{key: [before[key], after[key]] for key in before if before[key] != after[key]}}))
"""
    environment = {"PATH": "/usr/bin", "HOME": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, text=True, capture_output=True, check=False, env=environment,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout.splitlines()[-1]) == {}


@pytest.mark.parametrize("name", PACKAGE)
def test_no_module_does_anything_but_define(name: str) -> None:
    """Calls whose results are not kept are made for what they change."""
    done = [
        ast.unparse(node)
        for node in parsed(PACKAGE[name]).body
        if isinstance(node, (ast.With, ast.For, ast.While, ast.Delete, ast.AugAssign))
        or (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Assign) and not isinstance(node.targets[0], (ast.Name, ast.Tuple)))
    ]
    assert done == []
