"""A cluster of two nodes: every stage as in one process, whoever dies; faults node by node."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import four_textures
from needing_ray import NEEDS_RAY
from pieces import process, square, surroundings
from two_nodes import OTHER, TwoNodes, has_own_mounts, two_nodes

from clusternet.errors import ClusterNetError

if TYPE_CHECKING:
    from clusternet.distributed.ray_executor import RayExecutor

pytestmark = [
    *NEEDS_RAY,
    pytest.mark.skipif(sys.platform != "linux", reason="needs loopback addresses of Linux"),
]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    """A cluster of two nodes, which ends with the module."""
    with two_nodes(tmp_path_factory.mktemp("nodes"), HERE) as nodes:
        yield nodes


@pytest.fixture
def nodes(cluster: TwoNodes) -> TwoNodes:
    """The cluster, with both nodes alive."""
    cluster.start()
    return cluster


@pytest.fixture
def executor(nodes: TwoNodes) -> Iterator[RayExecutor]:
    """A worker on each node, which has started."""
    from clusternet.distributed.cluster import ray_executor

    with ray_executor(nodes.address, 2) as connected:
        while len(set(dict(connected.map(process, range(8))).values())) < 2:
            continue
        yield connected


# --- faults of one node


def refused(*inputs: Path, output: Path | None = None) -> str:
    """Return what is said of the nodes; work would read or write the paths."""
    from clusternet.distributed.nodes import Needs, check_nodes
    from clusternet.distributed.shared_paths import SharedPaths

    with pytest.raises(ClusterNetError) as error:
        check_nodes(Needs.of_command(SharedPaths(inputs, (output,))))
    assert len(str(error.value)) < 300
    return str(error.value)


def test_what_one_node_lacks_is_told(nodes: TwoNodes, executor: RayExecutor) -> None:
    for package in ("keras", "numpy"):
        described = nodes.fakes / f"{package}-9.9.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 9.9\n"
        )
        told = refused()
        shutil.rmtree(described)
        assert told.startswith(f"Node {OTHER}: has {package} 9.9, where this machine has ")
    if not has_own_mounts():
        pytest.skip("mounts of its own are not allowed here")
    (nodes.hidden / "scenes").mkdir(exist_ok=True)
    assert refused(nodes.hidden / "scenes").startswith(
        f"Node {OTHER}: does not see {nodes.hidden / 'scenes'}; put inputs and outputs where all"
    )
    assert refused(output=nodes.hidden).startswith(
        f"Node {OTHER}: less than 256 MB are free in {nodes.hidden}; make room."
    )


def test_workers_take_over_the_folder_and_the_backend_of_the_command(
    nodes: TwoNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clusternet.distributed.cluster import ray_executor

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with ray_executor(nodes.address, 1) as executor:
        assert dict(executor.map(surroundings, [0])) == {0: (str(tmp_path), "jax")}


# --- the same results


@dataclass(frozen=True)
class Inputs:
    """What the stages work on."""

    scenes: Path
    labels: Path
    maps: Path
    patches: Path
    run: Path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Two scenes of four bands, cluster maps and labels of them, patches and a run."""
    from conftest import write_geotiff
    from random_run import make_run

    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(1)
    for number, name in enumerate("ab"):
        pixels = four_textures(150, 170, 4, seed=number)
        pixels[40:90, 30:60] = 0
        truth = np.kron(rng.integers(0, 3, (3, 4)), np.ones((50, 50), int)).astype(np.uint8)
        clusters = (2 * truth + rng.integers(0, 2, truth.shape)).astype(np.uint8)
        write_geotiff(folder / f"scenes/{name}.tif", pixels, nodata=0)
        write_geotiff(folder / f"labels/{name}.tif", truth, nodata=255)
        write_geotiff(folder / f"maps/{name}.tif", clusters, nodata=255)
    inputs = Inputs(*(folder / name for name in ("scenes", "labels", "maps", "patches", "run")))
    tile(inputs, folder, None)
    (folder / "tiled").rename(inputs.patches)
    make_run(inputs.run, "same", 4, fixed_filters=True)
    return inputs


def tile(inputs: Inputs, folder: Path, executor: Any) -> None:
    from clusternet import TilingSettings, tile_rasters

    tile_rasters(
        inputs.scenes, folder / "tiled", TilingSettings((32, 32)), workers=1, executor=executor
    )


def survey(inputs: Inputs, folder: Path, executor: Any) -> None:
    from clusternet.patches.folder import open_patches
    from clusternet.patches.survey import survey_patches

    found = survey_patches(open_patches(inputs.patches), (24, 24), executor=executor)
    folder.mkdir(parents=True, exist_ok=True)
    said = asdict(found) | {
        name: getattr(found, name).tolist() for name in ("usable", "valid_counts")
    }
    (folder / "survey.json").write_text(json.dumps(said, default=str))


def predict(inputs: Inputs, folder: Path, executor: Any) -> None:
    from clusternet.prediction.map_outputs import MapOptions
    from clusternet.prediction.maps import predict_rasters
    from clusternet.prediction.predictor import load
    from clusternet.prediction.remote import RemotePredictor
    from clusternet.training.run import load_run

    how: dict[str, Any] = {"precision": "float32", "window_size": 64}
    predictor = (
        load(inputs.run, **how)
        if executor is None
        else RemotePredictor(load_run(inputs.run), executor, **how)
    )
    options = MapOptions(confidence=True, features=True)
    predict_rasters(predictor, sorted(inputs.scenes.iterdir()), folder / "maps", options)


def classes(inputs: Inputs, folder: Path, executor: Any) -> None:
    from clusternet.classes.assign import assign_classes

    assign_classes(inputs.maps, inputs.labels, folder / "classes", executor=executor)


def evaluate(inputs: Inputs, folder: Path, executor: Any) -> None:
    from clusternet.evaluation.report import evaluate_to_folder

    evaluate_to_folder(
        inputs.maps, inputs.labels, folder / "scores", clusters=True, executor=executor
    )


STAGES = (tile, survey, predict, classes, evaluate)


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files by name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def plain(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What each stage writes in one process."""
    found = {}
    for stage in STAGES:
        folder = tmp_path_factory.mktemp(stage.__name__)
        stage(inputs, folder, None)
        found[stage.__name__] = contents(folder)
        assert found[stage.__name__]
    return found


class Struck:
    """An executor that something happens to when its first result has come."""

    def __init__(self, executor: RayExecutor, strike: Callable[[], None]) -> None:
        self._executor = executor
        self._strike: Callable[[], None] | None = strike
        self.num_workers = executor.num_workers

    def map(self, work: Any, items: Any, **how: Any) -> Generator[tuple[int, Any], None, None]:
        for result in self._executor.map(work, items, **how):
            strike, self._strike = self._strike, None
            if strike is not None:
                strike()
            yield result


def test_every_stage_gives_the_results_of_one_process_though_a_worker_dies(
    executor: RayExecutor,
    inputs: Inputs,
    plain: dict[str, dict[str, bytes]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    struck = []

    def strike() -> None:
        os.kill(dict(executor.map(process, range(1)))[0], signal.SIGKILL)
        struck.append(True)

    for number, stage in enumerate(STAGES, 1):
        folder = tmp_path_factory.mktemp("struck")  # as deep as before: maps name their labels
        stage(inputs, folder, Struck(executor, strike))
        assert len(struck) == number
        assert contents(folder) == plain[stage.__name__], stage


def test_work_goes_on_when_a_node_is_gone(nodes: TwoNodes, executor: RayExecutor) -> None:
    done = []
    for result in executor.map(square, range(60), ordered=True):
        if len(done) == 5:
            nodes.kill(OTHER)
        done.append(result)

    assert done == [(number, number * number) for number in range(60)]


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_gives_the_results_of_one_process_though_a_node_dies(
    nodes: TwoNodes,
    executor: RayExecutor,
    inputs: Inputs,
    plain: dict[str, dict[str, bytes]],
    tmp_path: Path,
    stage: Callable[[Inputs, Path, Any], None],
) -> None:
    stage(inputs, tmp_path, Struck(executor, lambda: nodes.kill(OTHER)))

    assert contents(tmp_path) == plain[stage.__name__]
    assert nodes_left() == 1


def nodes_left() -> int:
    """Return the nodes that are left, as Ray sees them within a while."""
    import ray

    until = time.monotonic() + 60
    while True:
        alive = sum(bool(node["Alive"]) for node in ray.nodes())
        if alive == 1 or time.monotonic() > until:
            return alive
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_command_that_is_stopped_leaves_the_cluster_without_workers(
    nodes: TwoNodes, number: int
) -> None:
    with nodes.command() as command:
        assert nodes.workers()
        command.send_signal(number)
        _, errors = command.communicate(timeout=60)

    ending = (-number, "") if number == signal.SIGKILL else (130, "interrupted.\n")
    assert (command.returncode, errors) == ending
    until = time.monotonic() + 60
    while nodes.workers() and time.monotonic() < until:
        time.sleep(0.2)
    assert nodes.workers() == []
    from clusternet.distributed.cluster import ray_executor

    with ray_executor(nodes.address, 2) as again:  # all cores are free
        assert dict(again.map(square, range(3))) == {0: 0, 1: 1, 2: 4}
