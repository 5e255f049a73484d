"""No command destroys what it did not make: random inputs and outputs, for every command."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from every_command import Command, replace_what_takes_long
from example_world import MARK, build_world, files_below
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PAIRS = int(os.environ.get("CLUSTERNET_OUTPUT_PAIRS", "8"))
"""Examples for each command, of one pair of inputs and outputs or more."""
TALLY: Counter[str] = Counter()
EQUAL = ("same", "link", "linked parent", "dots", "slash")
RELATIONS = (*EQUAL, "parent", "child", "deeper", "case", "hard link", "beside")
NAMES = (
    "main", "patch_generator", "full_prediction", "clusters2classes", "evaluation",
    "rasterization", "interactive", "page", "demo", "make_scene", "quality", "speed",
)  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """A folder with one of everything, to be copied; and what in it is ours."""
    folder = tmp_path_factory.mktemp("outputs") / "world"
    return folder, build_world(folder)


@pytest.fixture(scope="module")
def commands() -> Iterator[dict[str, Command]]:
    with pytest.MonkeyPatch.context() as patch:
        yield replace_what_takes_long(patch)


def related(target: Path, relation: str, ending: str, number: int) -> Path:
    """Return a path that lies to ``target`` as ``relation`` says, links made as needed."""
    ending = "" if ending == "/" else ending
    if relation == "parent":
        return target.parent
    if relation in ("child", "deeper"):
        base = target if target.is_dir() else target.parent
        return base / ("some" if relation == "deeper" else ".") / f"new{number}{ending}"
    if relation == "link":
        link = target.parent / f"link{number}{ending}"
        link.symlink_to(target)
        return link
    if relation == "linked parent":
        link = target.parent / f"link{number}"
        link.symlink_to(target.parent)
        return link / target.name
    if relation == "dots":
        inner = target.parent / f"dots{number}"
        inner.mkdir(exist_ok=True)
        return inner / ".." / target.name
    if relation == "case":
        return target.with_name(target.name.swapcase())
    if relation == "hard link" and target.is_file():
        twin = target.with_name(f"twin{number}{ending}")
        os.link(target, twin)
        return twin
    if relation == "beside":
        return target.with_name(f"new{number}{ending}")
    return target  # "same", and "slash", which the caller adds


@st.composite
def plans(draw: st.DrawFn, command: Command, targets: list[str]) -> tuple:
    """Draw inputs as they are or by links, a relation to something for each output, and flags."""
    inputs = tuple((name, draw(st.sampled_from(("same", "link", "linked parent", "dots"))))
                   for name in command.inputs)  # fmt: skip
    outputs = {}
    for name, ending in command.outputs.items():
        needed = name == next(iter(command.outputs)) and name != "cache"
        if not needed and not draw(st.booleans()):
            continue
        fits = partial(fits_ending, ending)
        fitting, own = list(filter(fits, targets)), list(filter(fits, command.replaces))
        roots = {read.split("/")[0] for read in command.inputs}
        near = [target for target in targets if target.split("/")[0] in roots]
        top = [target for target in fitting if "/" not in target]
        pool = draw(st.sampled_from((own or top, own or top, top, near or fitting, fitting)))
        relations = EQUAL if pool == own else RELATIONS
        outputs[name] = (draw(st.sampled_from(pool)), draw(st.sampled_from(relations)), ending)
    return inputs, outputs, draw(st.sampled_from((True, True, False)))


def fits_ending(ending: str, target: str) -> bool:
    return "." not in Path(target).name if ending == "/" else target.endswith(ending)


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_survives_that_was_not_ours(name, world, commands, tmp_path, caplog):
    template, ours = world
    command = commands[name]
    there = {path.relative_to(template).as_posix() for path in template.rglob("*")
             if MARK not in path.name}  # fmt: skip
    targets = sorted(there | set(command.replaces))
    numbers = count()

    @settings(max_examples=PAIRS, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(plan=plans(command, targets))
    def check(plan: tuple) -> None:
        folder = tmp_path / f"world{next(numbers)}"
        shutil.copytree(template, folder, symlinks=True)
        try:
            check_plan(folder, command, plan, ours)
        finally:
            shutil.rmtree(folder)

    check()
    if "CLUSTERNET_OUTPUT_PAIRS" in os.environ:
        print(f"\n{name}: so far {dict(TALLY)}", file=sys.stderr)
    assert not list(tmp_path.iterdir())


def check_plan(folder: Path, command: Command, plan: tuple, ours: set[str]) -> None:
    inputs_drawn, outputs_drawn, overwrite = plan
    inputs = [related(folder / name, relation, Path(name).suffix, index)
              for index, (name, relation) in enumerate(inputs_drawn)]  # fmt: skip
    outputs = {}
    for index, (name, (target, relation, ending)) in enumerate(outputs_drawn.items(), len(inputs)):
        path = related(folder / target, relation, ending, index)
        outputs[name] = f"{path}/" if relation == "slash" else path
    before = files_below(folder)
    TALLY["pairs"] += len(outputs) * max(1, len(inputs))
    try:
        command.run(inputs, outputs, overwrite=overwrite)
    except SystemExit as end:
        assert end.code == 2
        TALLY["refused"] += 1
        assert files_below(folder) == before
        return
    after = files_below(folder)
    TALLY["replaced"] += any(after.get(place) != content for place, content in before.items())
    TALLY["written"] += 1
    for place, content in before.items():
        if after.get(place) == content:
            continue
        assert place in command.keeps or not is_input(place, command), f"{place}: was read"
        assert overwrite or command.run.__name__ == "_draw_on_the_page", f"{place}: nobody said so"
        assert place in ours, f"{place}: not ours"
    assert not [place for place in after if Path(place).name.startswith(".")]


def is_input(place: str, command: Command) -> bool:
    return any(place == name or place.startswith(f"{name}/") for name in command.inputs)
