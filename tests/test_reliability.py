"""A small part of benchmarks/reliability.py: some kill points, some damaged files."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import interactive_scene
import pytest
from conftest import ROOT
from every_command import _Predictor

from clusternet.files.arrays import read_arrays, write_arrays

sys.path.append(str(ROOT / "benchmarks"))

from faults.calls import call
from faults.fuzz import Damager
from faults.kills import Trial, by_what_is_seen, wrong
from faults.material import make_material
from faults.outcomes import Part
from faults.recording import Recorder
from faults.scenarios import Scenario, command_scenarios

POINTS = 12
FILES = 60


@pytest.fixture(scope="module")
def patch() -> pytest.MonkeyPatch:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clusternet.prediction.predictor.load", _Predictor)
        yield patch


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Path:
    """What commands read, with two runs that no network belongs to, and what comes of them."""
    folder = make_material(tmp_path_factory.mktemp("given"), runs=False)
    for number in (1, 2):
        run = interactive_scene.make_run(folder).rename(folder / f"run{number}")
        arrays = read_arrays(run / "codebook.npz")
        write_arrays(run / "codebook.npz", arrays | {"centroids": arrays["centroids"] + number})
        maps = folder / f"maps{number}"
        for words in (
            ("full_prediction", run, folder / "images", "--output_folder", maps),
            ("clusters2classes", maps, folder / "labels", "--output_folder",
             folder / f"classes{number}"),
        ):  # fmt: skip
            assert call(*words).fault() == ""
    assert call("rasterization", folder / "shapes.gpkg", folder / "images" / "west.tif",
                folder / "burned.tif").fault() == ""  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder()


@pytest.mark.parametrize(
    "name",
    ["tile", "predict", "predict --overwrite, then --skip_existing", "classes --overwrite",
     "rasterize --overwrite"],
)  # fmt: skip
def test_after_a_kill_there_is_the_old_output_or_the_new_one(
    given: Path, recorder: Recorder, tmp_path: Path, name: str
) -> None:
    trial, part = Trial(tmp_path, recorder, random.Random(1)), Part(name)
    scenarios: dict[str, Scenario] = {s.name: s for s in command_scenarios(given, trial.out)}
    scenario = scenarios[name]
    recording, wanted = trial.record(part, scenario)
    assert part.faults == [] and len(recording.points) > POINTS / 2
    trees = recording.distinct(trial.store)
    old, new = recording.points[0], recording.points[-1]
    assert [scenario.mixed(tree, old, new) for tree in trees] == [""] * len(trees)
    for tree in by_what_is_seen(trees, trial.rng)[:POINTS]:
        with trial.brought_back(tree):
            assert call(*scenario.again).fault() == ""
            assert wrong(trial.out, wanted) == ""


def test_damaged_files_are_refused_in_one_line_or_read(given: Path, tmp_path: Path) -> None:
    damager = Damager(given, tmp_path / "work", 1, with_network=False)
    found = {number: damager.try_one(number) for number in range(FILES)}
    wrongs = {(damager.name(n), way): fault for n, (way, fault, _) in found.items() if fault}
    assert wrongs == {}
    accepted = sum(is_accepted for _, _, is_accepted in found.values())
    assert 0 < accepted < FILES
