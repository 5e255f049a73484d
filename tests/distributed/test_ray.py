"""A cluster of this machine: the same results, whoever dies, and nothing is left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clusternet.distributed.guard import processes_of
from clusternet.distributed.local_secrets import LocalSecrets
from clusternet.errors import ClusterNetError, RasterError, SettingsError

if TYPE_CHECKING:
    from clusternet.distributed.ray_executor import RayExecutor

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    # Ray never waits for the processes that it has ended
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def executor() -> Iterator[RayExecutor]:
    """Two workers of a cluster that ends with the module; they find `pieces`."""
    from clusternet.distributed.cluster import ray_executor

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(HERE)
    token = Path.home() / ".ray" / "auth_token"
    had_token = token.exists()
    try:
        with ray_executor(None, 2) as started:
            assert token.exists() == had_token  # the cluster's token is no file of the user's
            yield started
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def test_results_are_those_of_the_work_and_come_in_order(executor: RayExecutor) -> None:
    from pieces import square

    results = list(executor.map(square, range(20), ordered=True))

    assert results == [(number, number * number) for number in range(20)]


def test_workers_are_kept_between_calls_with_what_they_have_loaded(executor: RayExecutor) -> None:
    from pieces import process

    def at_work() -> set[int]:
        return set(dict(executor.map(process, range(6))).values())

    while len(first := at_work()) < 2:  # a worker gets work when it has started
        continue

    assert at_work() == first


def test_few_items_are_taken_ahead_of_the_results(executor: RayExecutor) -> None:
    from pieces import square

    taken = []

    def items() -> Iterator[int]:
        for number in range(40):
            taken.append(number)
            yield number

    for index, _ in executor.map(square, items(), ordered=True):
        assert len(taken) - index <= 4


def test_the_work_of_a_dead_worker_is_done_by_another(
    executor: RayExecutor, tmp_path: Path
) -> None:
    from pieces import Deadly, die

    items = [Deadly(number, tmp_path, deaths=2 * (number == 4)) for number in range(10)]

    assert list(executor.map(die, items, ordered=True)) == [(n, n) for n in range(10)]
    assert len(list(tmp_path.iterdir())) == 2  # it did die, twice


def test_work_that_ends_three_workers_is_named(executor: RayExecutor, tmp_path: Path) -> None:
    from pieces import Deadly, die

    items = [Deadly(number, tmp_path, deaths=9 * (number == 1)) for number in range(4)]

    with pytest.raises(
        ClusterNetError, match=r"^scene_1.tif, window at row 0, .* 3 times"
    ) as found:
        list(executor.map(die, items))
    assert len(str(found.value)) < 300


def test_an_error_of_the_work_is_raised_as_it_is(executor: RayExecutor) -> None:
    from pieces import refuse

    with pytest.raises(RasterError, match=r"^scene.tif: is damaged.$"):
        list(executor.map(refuse, range(9)))


def test_a_node_that_does_not_see_the_inputs_is_named(
    executor: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clusternet.distributed import nodes

    monkeypatch.setattr(nodes, "_existing", lambda path: path)

    with pytest.raises(ClusterNetError, match=r"^Node .*: does not see /none/scenes; put"):
        nodes.check_nodes([Path("/none/scenes")])


def test_a_node_with_another_version_is_named(
    executor: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clusternet.distributed import nodes

    own = nodes.node_facts([]).versions
    monkeypatch.setattr(nodes, "_ask", lambda *_: nodes.NodeFacts(own | {"keras": "1.0"}))

    with pytest.raises(ClusterNetError, match=r"^Node .*: has keras 1.0, where this machine has"):
        nodes.check_nodes([])


def test_all_clusters_of_a_process_have_one_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    assert LocalSecrets().token == LocalSecrets().token  # Ray reads it once only
    assert LocalSecrets().mark != LocalSecrets().mark
    monkeypatch.setenv("RAY_AUTH_TOKEN", "the user's")
    assert LocalSecrets().token == "the user's"


def test_no_workers_are_refused() -> None:
    from clusternet.distributed.cluster import ray_executor

    with (
        pytest.raises(SettingsError, match="--num_workers: expected a number above 0, received 0"),
        ray_executor(None, 0),
    ):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere.invalid:6379", "127.0.0.1:x"])
def test_an_address_without_a_cluster_is_refused(address: str) -> None:
    from clusternet.distributed.cluster import ray_executor

    with (
        pytest.raises(SettingsError, match=f"^--ray {address}: no Ray cluster answers there"),
        ray_executor(address, None),
    ):
        pass


SLEEPER = """
import sys
import time
from pathlib import Path
from pieces import Deadly, die
from clusternet.command_line.command import run_command
from clusternet.distributed.cluster import ray_executor
from clusternet.processes.interrupts import interrupts
interrupts.own_process()

@interrupts.listening()
def work():
    with ray_executor(None, 1) as executor:
        list(executor.map(die, [Deadly(1, Path(sys.argv[1]), deaths=1)]))
        print("ready", flush=True)
        list(executor.map(time.sleep, [60] * 4))

run_command(work)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_command_that_is_stopped(number: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(HERE)},
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        folder, mark = guarded(process.pid)
        assert Path(folder).exists() and len(processes_of(folder, mark)) > 3
        time.sleep(0.5)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)

    assert process.returncode == (-number if number == signal.SIGKILL else 130)
    # of the worker that died only our line, none of Ray's
    told = (
        "WARNING: scene_1.tif, window at row 0, column 0: the worker that had it ended; another one"
    )
    assert errors.startswith(told) and not output
    assert errors.splitlines()[1:] == ([] if number == signal.SIGKILL else ["interrupted."])
    until = time.monotonic() + 30
    while (Path(folder).exists() or processes_of(folder, mark)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(folder).exists()
    assert processes_of(folder, mark) == []


def guarded(command: int) -> tuple[str, str]:
    """Return the folder and the mark of the cluster that a command has started."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            words = (entry / "cmdline").read_text().split("\0")
        except OSError:  # it has ended
            continue
        if parent == command and "clusternet.distributed.guard" in words:
            return words[3], words[4]
    raise AssertionError("no guard")
