"""Call commands in this process as from a command line, and keep what they print."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_OUR_LINES = ("INFO: ", "WARNING: ", "error: ", "interrupted")
_LONGEST = 330  # of a line, with the paths of these trials


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    out: str
    err: str

    def fault(self, *allowed: int) -> str:
        """Return what is wrong with the end of a command; empty if nothing is.

        Args:
            allowed: the exit statuses that are right.
        """
        if self.status not in (allowed or (0,)):
            return f"exit status {self.status}: {self.err.strip()[-300:]}"
        return self.told_wrong()

    def told_wrong(self) -> str:
        """Return what is wrong with the printed lines: a traceback, foreign lines, long lines."""
        lines = self.err.splitlines()
        foreign = [line for line in lines if not line.startswith(_OUR_LINES)]
        if foreign:
            return f"foreign line: {foreign[-1][:200]}"
        errors = [line for line in lines if line.startswith("error: ")]
        if self.status == 2 and len(errors) != 1:
            return f"{len(errors)} error lines with exit status 2"
        if any(len(line) > _LONGEST for line in errors):
            return f"a line of {max(map(len, errors))} characters"
        return ""


def script_path(name: str) -> Path:
    """Return the file of a command."""
    return ROOT / "main.py" if name == "main" else ROOT / "tools" / f"{name}.py"


@lru_cache
def load_script(name: str) -> ModuleType:
    """Import a command."""
    path = script_path(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(name: str, *words: object) -> Outcome:
    """Run a command in this process."""
    main = load_script(name).main
    return caught(lambda: main([str(word) for word in words]))


def caught(function: Any) -> Outcome:
    """Run a function as a command runs; an escaping exception is added to the printed text."""
    status = 0
    with _streams() as (out, err):
        try:
            function()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except Exception:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        said = [_content(stream) for stream in (out, err)]
    return Outcome(status, *said)


def _content(stream: Any) -> str:
    stream.seek(0)
    return str(stream.read().decode(errors="replace"))


@contextmanager
def _streams() -> Iterator[tuple[Any, Any]]:
    """Capture stdout and stderr, also of libraries written in C."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        before = sys.stdout, sys.stderr
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        handlers = logging.root.handlers[:]
        logging.root.handlers.clear()  # a command makes its own, for the stderr of now
        try:
            yield out, err
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = before
            logging.root.handlers[:] = handlers
            for number, stream in enumerate(kept, 1):
                os.dup2(stream, number)
                os.close(stream)


def warm_up() -> None:
    """Import what commands import; build each network once and reset its weights when reused."""
    from clusternet.network.loading import load_network_library
    from clusternet.process_setup import prepare_process

    prepare_process()
    load_network_library()
    import clusternet.prediction.predictor as prediction
    import clusternet.training.learner as training

    training.Learner = _built_once(training.Learner)  # type: ignore[assignment, misc]
    prediction.load = lru_cache(prediction.load)  # type: ignore[assignment]


def _built_once(build: Any) -> Any:
    made: dict[object, Any] = {}

    def learner(num_bands: int, shape: Any, settings: Any, batch_size: int) -> Any:
        key = num_bands, shape, batch_size, replace(settings, num_epochs=1)
        if key not in made:
            one = build(num_bands, shape, settings, batch_size)
            made[key] = one, one.state()
        one, first = made[key]
        one.restore(first)
        return one

    return learner
