"""What cannot be shared among workers is refused at once; a lost worker costs an epoch at most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from memory_training import SETTINGS
from PIL import Image
from thread_group import ThreadGroup, in_threads

from clusternet.commands import train as command
from clusternet.distributed import cluster
from clusternet.errors import SettingsError
from clusternet.processes.groups import ALONE, GroupExecutor
from clusternet.training.run_files import PAGE_FOLDER, STATE
from clusternet.training.run_outputs import RunOutputs
from clusternet.training.sharing import SharedTraining, TrainingJob
from clusternet.training.train import warn_of_idle_workers


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--num_workers 2 --cluster_scope batch --feature_transform none", "--cluster_scope batch"),
        ("--num_workers 2 --labels LABELS", "--num_workers: shares a training without labels"),
        ("--ray auto --labels LABELS", "--ray: shares a training without labels"),
        ("--num_workers 0", "--num_workers: expected a number above 0, received 0"),
        ("--num_workers 2 --min_workers 3", "--min_workers: expected 2 at most"),
        ("--min_workers 2", "--min_workers: says how few workers are enough"),
        ("--num_workers 99999", "--num_workers 99999: this machine has room for "),
    ],
)
def test_what_cannot_be_shared_is_refused_before_a_cluster_starts(
    tmp_path: Path, flags: str, words: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def start(*_: object) -> None:
        raise AssertionError("a cluster starts")

    monkeypatch.setattr(command, "team_of", start)
    (tmp_path / "patches/a").mkdir(parents=True)
    Image.fromarray(np.full((32, 32), 7, np.uint8)).save(tmp_path / "patches/a/1.png")
    given = [str(tmp_path / "patches"), "--output", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as end:
        command.main([*given, *flags.split()])
    (line,) = capsys.readouterr().err.splitlines()
    assert end.value.code == 2
    assert line.startswith(f"error: {words}") and len(line) < 300
    assert not (tmp_path / "run").exists()


def test_a_folder_without_patches_is_told_before_a_cluster_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "team_of", None)
    (tmp_path / "patches/a").mkdir(parents=True)
    (tmp_path / "patches/a/notes.txt").write_text("no image")
    given = [str(tmp_path / "patches"), "--output", str(tmp_path / "run"), "--num_workers", "2"]
    with pytest.raises(SystemExit) as end:
        command.main(given)
    (line,) = capsys.readouterr().err.splitlines()
    assert end.value.code == 2
    assert line.startswith(f"error: {tmp_path / 'patches'}: holds no image")


@pytest.mark.parametrize(
    ("cores", "gibibytes", "most"), [(2, 24, 8), (64, 24, 24), (2, 1, 2), (1, 64, 4)]
)
def test_workers_of_this_machine_are_bound_by_its_cores_and_memory(
    cores: int, gibibytes: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "usable_cores", lambda: cores)
    monkeypatch.setattr(cluster, "usable_memory", lambda: gibibytes * 2**30)
    cluster.check_room(None, most)
    cluster.check_room("auto", most + 1)
    with pytest.raises(SettingsError, match=f"room for {most} worker"):
        cluster.check_room(None, most + 1)


# --- after a loss


def job(folder: Path, **options: bool) -> TrainingJob:
    return TrainingJob(
        RunOutputs(folder / "patches", folder / "run", range(1, 3), **options), SETTINGS
    )


def checkpoint(folder: Path, content: bytes) -> None:
    path = folder / "run" / STATE
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name("new")
    new.write_bytes(content)
    new.replace(path)


def test_a_new_run_begins_anew_until_it_has_a_checkpoint(tmp_path: Path) -> None:
    training = SharedTraining(job(tmp_path))
    first = training.next_job()
    assert not first.outputs.resume and training.next_job() == first  # nothing was achieved
    checkpoint(tmp_path, b"of epoch 0")
    second = training.next_job()
    assert second.outputs.resume and second != first and training.next_job() == second
    checkpoint(tmp_path, b"of epoch 1")
    assert training.next_job() != second


def test_a_run_that_is_to_be_replaced_is_not_resumed(tmp_path: Path) -> None:
    checkpoint(tmp_path, b"of an earlier run")
    training = SharedTraining(job(tmp_path, overwrite=True))
    assert not training.next_job().outputs.resumes
    checkpoint(tmp_path, b"of this run")
    assert training.next_job().outputs.resumes


def test_what_a_dead_worker_left_is_removed(tmp_path: Path) -> None:
    token = "0" * 18 + "-1-1"  # a process of another machine
    left = tmp_path / f".part-{token}-abcdef.run"
    left.mkdir()
    (left / "model.keras").touch()
    (tmp_path / ".part-something.else").mkdir()
    inside = [
        tmp_path / "run" / name / f".part-{token}-abcdef.npz"
        for name in ("checkpoint", PAGE_FOLDER)
    ]
    for path in inside:
        path.parent.mkdir(parents=True)
        path.touch()  # just now, on a machine that may run for all we know

    SharedTraining(job(tmp_path)).next_job()

    assert sorted(path.name for path in tmp_path.iterdir()) == [".part-something.else", "run"]
    assert [path.exists() for path in inside] == [False, True]  # the page works elsewhere


# --- members


def test_members_write_one_run_and_go_on_with_it(tmp_path: Path) -> None:
    """A finished run is resumed, too: its report needs a sample of all members."""
    from test_group import WHOLE, run_with

    def work(group: ThreadGroup) -> None:
        for resumes in (False, True):
            run_with(group, WHOLE, tmp_path / "run", resumes)

    in_threads(2, work)

    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    assert (tmp_path / "run/report.html").exists()
    history = (tmp_path / "run/history.csv").read_text().splitlines()
    assert len(history) == 1 + WHOLE.num_epochs


def test_pieces_of_work_are_shared_and_their_results_come_in_order_to_all() -> None:
    def work(group: ThreadGroup) -> tuple[list[tuple[int, int]], int]:
        done = []

        def square(number: int) -> int:
            done.append(number)
            return number * number

        return list(GroupExecutor(group).map(square, iter(range(7)))), len(done)

    expected = [(number, number * number) for number in range(7)]
    assert in_threads(3, work) == [(expected, 3), (expected, 2), (expected, 2)]
    assert list(GroupExecutor(ALONE).map(abs, [])) == []


def test_workers_without_a_patch_are_told(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_idle_workers(4, 4)
    assert not caplog.records
    warn_of_idle_workers(4, 6)
    assert "2 of 6 workers have none" in caplog.text
