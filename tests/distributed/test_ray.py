"""A cluster of this machine: the same results, whoever dies, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from needing_ray import HERE, NEEDS_RAY, pieces_found

from clusternet.distributed.guard import processes_of
from clusternet.distributed.local_secrets import LocalSecrets
from clusternet.distributed.shared_paths import SharedPaths
from clusternet.errors import ClusterNetError, RasterError, SettingsError, WorkerError
from clusternet.locations import location

if TYPE_CHECKING:
    from clusternet.distributed.ray_executor import RayExecutor

pytestmark = NEEDS_RAY


@pytest.fixture(scope="module")
def executor() -> Iterator[RayExecutor]:
    """Two workers of a cluster that ends with the module; they find `pieces`."""
    from clusternet.distributed.cluster import ray_executor

    token = Path.home() / ".ray" / "auth_token"
    had_token = token.exists()
    with pieces_found(), ray_executor(None, 2) as started:
        assert token.exists() == had_token  # the cluster's token is no file of the user's
        yield started


def both_at_work(executor: RayExecutor) -> set[int]:
    """Return the processes of both workers: a worker gets work when it has started."""
    from pieces import process

    while len(found := set(dict(executor.map(process, range(6))).values())) < 2:
        continue
    return found


def test_results_are_those_of_the_work_and_come_in_order(executor: RayExecutor) -> None:
    from pieces import square

    results = list(executor.map(square, range(20), ordered=True))

    assert results == [(number, number * number) for number in range(20)]


def test_workers_are_kept_between_calls_with_what_they_have_loaded(executor: RayExecutor) -> None:
    assert both_at_work(executor) == both_at_work(executor)


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

    with pytest.raises(WorkerError, match=r"^scene_1.tif, window at row 0, .* 3 times") as found:
        list(executor.map(die, items))
    assert len(str(found.value)) < 300


def test_an_error_of_the_work_is_raised_as_it_is(executor: RayExecutor) -> None:
    from pieces import refuse

    with pytest.raises(RasterError, match=r"^scene.tif: is damaged.$"):
        list(executor.map(refuse, range(9)))


def test_no_worker_is_at_work_any_more_when_an_error_has_ended_the_call(
    executor: RayExecutor, tmp_path: Path
) -> None:
    from pieces import write_or_refuse

    both_at_work(executor)

    with pytest.raises(RasterError):
        list(executor.map(write_or_refuse, [(tmp_path, 0), (tmp_path, 1)]))

    written = len(list(tmp_path.iterdir()))
    time.sleep(0.5)
    assert 0 < len(list(tmp_path.iterdir())) == written < 100


def test_a_node_that_lacks_something_is_named(
    executor: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clusternet.distributed import nodes

    with pytest.raises(ClusterNetError, match=r"^Node .*: does not see /none/scenes; put"):
        nodes.check_nodes(nodes.Needs(nodes.versions_here(), seen=("/none/scenes",)))
    others = nodes.versions_here() | {"keras": "1.0"}
    with pytest.raises(ClusterNetError, match=r"^Node .*: has keras 3.*, where this machine has 1"):
        nodes.check_nodes(nodes.Needs(others))


def test_nodes_must_see_files_and_folders_and_no_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenes").mkdir()
    scenes, maps = Path("scenes"), Path("scenes/maps")

    paths = SharedPaths((scenes, location("https://host/a.tif"), None), (maps, Path("out/maps")))

    here = os.path.realpath(tmp_path)
    assert paths.seen() == [here, f"{here}/scenes"]
    # a disk that is only read from may be full
    assert SharedPaths((scenes,), (Path("out"),)).written() == [here]
    assert SharedPaths((location("https://host/a.tif"),)).seen() == []


def test_all_clusters_of_a_process_have_one_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    assert LocalSecrets().token == LocalSecrets().token  # Ray reads it once only
    assert LocalSecrets().mark != LocalSecrets().mark
    monkeypatch.setenv("RAY_AUTH_TOKEN", "the user's")
    assert LocalSecrets().token == "the user's"


@pytest.mark.parametrize(
    ("address", "numbers", "message"),
    [
        (None, (0, None), "--num_workers: expected a number above 0, received 0"),
        (None, (2, 0), "--min_workers: expected a number above 0, received 0"),
        (None, (2, 3), "--min_workers: expected 2 at most, as --num_workers, received 3"),
        # Ray would start a cluster that nobody ends, wait for minutes, or speak another protocol
        ("local", (None, None), "--ray local: expected auto, or HOST:PORT"),
        ("", (None, None), "--ray : expected auto, or HOST:PORT"),
        ("10.0.0.5", (None, None), "--ray 10.0.0.5: expected auto, or HOST:PORT"),
        ("127.0.0.1:x", (None, None), "--ray 127.0.0.1:x: expected auto, or HOST:PORT"),
        ("ray://10.0.0.5:10001", (None, None), "--ray ray://10.0.0.5:10001: expected auto, or"),
    ],
)
def test_what_can_be_no_cluster_is_refused_at_once(
    address: str | None, numbers: tuple[int | None, int | None], message: str
) -> None:
    from clusternet.distributed.cluster import ray_team

    with pytest.raises(SettingsError, match=f"^{message}"), ray_team(address, *numbers):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere.invalid:6379", "127.0.0.1:99999"])
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
        start_new_session=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        folder, mark = guarded(process.pid)
        assert Path(folder).exists() and len(processes_of(folder, mark)) > 3
        assert set(listening(processes_of(folder, mark))) == {LOOPBACK}
        time.sleep(0.5)
        # a terminal sends Ctrl-C to all processes of a command
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
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


LOOPBACK = "0100007F"  # 127.0.0.1


def listening(processes: list[int]) -> list[str]:
    """Return the addresses of this machine that processes listen at, as Linux lists them."""
    sockets = set()
    for process in processes:
        with suppress(OSError):  # it has ended
            sockets |= {str(entry.readlink()) for entry in Path(f"/proc/{process}/fd").iterdir()}
    found = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:]:
            _, place, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:  # it listens
                found.append(place.partition(":")[0][-8:])
    return found


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
