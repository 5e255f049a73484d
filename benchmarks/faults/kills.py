"""Kill points: the state that a kill before each write of a command leaves."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clusternet.errors import RunError
from clusternet.training.run import load_run
from faults.calls import call, warm_up
from faults.material import TRAINING
from faults.outcomes import Part
from faults.recording import Recorder, Recording
from faults.scenarios import Scenario, command_scenarios
from faults.trees import Store, Tree, differences, essence, is_hidden, visible

_LONGEST = 300  # characters of a message


def try_commands(given: Path, work: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Kill all commands that train nothing; a task for a process of its own."""
    warm_up()
    part, trial = Part("kills"), Trial(work, Recorder(), random.Random(seed))  # noqa: S311
    call("rasterization", given / "shapes.gpkg", given / "images" / "west.tif",
         given / "burned.tif")  # fmt: skip
    call("evaluation", given / "classes1", given / "labels", "--output_folder", given / "report")
    scenarios = list(command_scenarios(given, trial.out))
    ends = time.monotonic() + seconds
    for number, scenario in enumerate(scenarios):
        share = (ends - time.monotonic()) / (len(scenarios) - number)
        _try_command(part, trial, scenario, time.monotonic() + share)
    return part.to_json()


class Trial:
    """The folder in which commands are tried."""

    def __init__(self, work: Path, recorder: Recorder, rng: random.Random) -> None:
        """Use a folder; ``out`` is where commands write."""
        self.out, self.store = work / "out", Store(work / "store")
        self.rng, self._recorder = rng, recorder

    def clear(self) -> None:
        """Remove all outputs."""
        shutil.rmtree(self.out, ignore_errors=True)

    @contextmanager
    def brought_back(self, tree: Tree) -> Iterator[None]:
        """Let ``out`` hold what a kill left, and clear it afterwards."""
        self.clear()
        self.store.bring_back(tree, self.out)
        yield
        self.clear()

    def record(self, part: Part, scenario: Scenario) -> tuple[Recording, dict[str, object]]:
        """Run a command undisturbed; return its points, and what its result is."""
        self.clear()
        scenario.prepare(self.out)
        with self._recorder.watching(self.out, self.store) as recording:
            ended = call(*scenario.words)  # type: ignore[arg-type]
        if fault := ended.fault():
            part.judge(f"{scenario.name}: undisturbed", fault)
        for path in recording.in_place():
            part.judge(f"{scenario.name}: writes", f"{path} was written in place")
        return recording, essence(self.out)


def _try_command(part: Part, trial: Trial, scenario: Scenario, ends: float) -> None:
    recording, wanted = trial.record(part, scenario)
    old, new = recording.points[0], recording.points[-1]
    trees = recording.distinct(trial.store)
    for tree in trees:
        fault = scenario.mixed(tree, old, new)
        part.judge(f"{scenario.name}: points", fault)
    part.row(f"{scenario.name}: points").note = _counts(recording, trees)
    order = by_what_is_seen(trees, trial.rng)
    name = f"{scenario.name}: next call"
    for index, tree in enumerate(order):
        if index >= _kinds(trees) and time.monotonic() > ends:
            break
        with trial.brought_back(tree):
            ended = call(*scenario.again)  # type: ignore[arg-type]
            part.judge(name, ended.fault() or wrong(trial.out, wanted))
    part.row(name).note = f"{_kinds(trees)} differ in what is under a final name"


def by_what_is_seen(trees: list[Tree], rng: random.Random) -> list[Tree]:
    """Return trees in random order, one of each kind of what is under a final name first."""
    mixed = rng.sample(trees, len(trees))
    kinds: dict[object, list[Tree]] = {}
    for tree in mixed:
        kinds.setdefault(tuple(sorted(visible(tree).items())), []).append(tree)
    rounds = itertools.zip_longest(*kinds.values())
    return [tree for some in rounds for tree in some if tree is not None]


def _kinds(trees: list[Tree]) -> int:
    return len({tuple(sorted(visible(tree).items())) for tree in trees})


def _counts(recording: Recording, trees: list[Tree]) -> str:
    return f"{len(recording.points):,} writes leave {len(trees):,} different states"


def wrong(out: Path, wanted: dict[str, object]) -> str:
    """Return how a result differs from the expected one, or which other files were left."""
    found = essence(out)
    left = [name for name in found if is_hidden(name)]
    if left:
        return f"left behind: {', '.join(left[:3])}"
    others = differences(found, wanted)
    return f"differs in {others}" if others else ""


def try_training(given: Path, work: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Kill a training of three epochs, and one that replaces another run."""
    warm_up()
    begin = time.monotonic()
    part, trial = Part("kills"), Trial(work, Recorder(), random.Random(seed))  # noqa: S311
    run = trial.out / "run"
    train = ("main", given / "patches", "--output", run, *TRAINING)
    fresh = (*train, "--num_epochs", 3, "--test_img_folder", given / "few")
    other = (*train, "--num_epochs", 2, "--seed", 5)
    earlier = ((given / "run1", "run"),)
    for scenario, share in (
        (Scenario("train", fresh, (*fresh, "--resume")), 0.7),
        (Scenario("train --overwrite", (*other, "--overwrite"), (*other, "--resume"), earlier), 1),
    ):
        _try_run(part, trial, scenario, begin + share * seconds)
    return part.to_json()


def _try_run(part: Part, trial: Trial, scenario: Scenario, ends: float) -> None:
    recording, wanted = trial.record(part, scenario)
    trees = recording.distinct(trial.store)
    earlier = recording.points[0].get("run/bands.json")
    for tree in trees:
        with trial.brought_back(tree):
            fault = _loads_or_not(trial.out / "run", scenario)
        part.judge(f"{scenario.name}: points", fault)
    part.row(
        f"{scenario.name}: points"
    ).note = f"{len(recording.points)} writes, {len(trees)} different states"
    name = f"{scenario.name}: next call"
    order = by_what_is_seen(trees, trial.rng)
    for index, tree in enumerate(order):
        if index >= _kinds(trees) and time.monotonic() > ends:
            break
        with trial.brought_back(tree):
            is_old = earlier is not None and tree.get("run/bands.json") == earlier
            ended = call(*(scenario.words if is_old else scenario.again))  # type: ignore[arg-type]
            part.judge(name, ended.fault() or wrong(trial.out, wanted))
    part.row(name).note = f"{_kinds(trees)} differ in what is under a final name"


def _loads_or_not(run: Path, scenario: Scenario) -> str:
    """Say what is wrong with a run that a kill left: nothing if it loads, or is none yet."""
    try:
        load_run(run)
    except RunError as error:
        message = str(error)
        if "\n" in message or len(message) > _LONGEST + len(str(run)):
            return f"refused in a long message: {message}"
        if not run.exists() and not scenario.before:
            return ""
        if "--resume mends it" in message and (run / "checkpoint" / "state.npz").is_file():
            return ""
        return f"refused: {message}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    identity = json.loads((run / "bands.json").read_text(encoding="utf-8"))["run"]
    return "" if identity else "states no identity"
