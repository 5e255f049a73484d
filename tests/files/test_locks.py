"""One process writes an output at a time, and what a killed one left is cleared away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

from clusternet.errors import OutputError
from clusternet.files import locks
from clusternet.files.locks import OutputLock, claimed, is_held, lock_path
from clusternet.files.placing import hidden_sibling
from clusternet.processes import owners
from clusternet.processes.owners import Owner

HOLDER = """
import sys, time
from pathlib import Path
from clusternet.files.locks import claimed
from clusternet.files.placing import hidden_sibling
output = Path(sys.argv[1])
with claimed(output):
    hidden_sibling(output).mkdir()
    print("held", flush=True)
    time.sleep(60)
"""
ELSEWHERE = "abcdefabcdefabcdef-7-8"


@pytest.fixture
def holder(tmp_path: Path):
    """A process that writes ``tmp_path / "out"``."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "out"], text=True,
                               stdout=subprocess.PIPE, cwd=ROOT)  # fmt: skip
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("locks_work", [True, False])
def test_an_output_that_another_process_writes_is_refused(
    tmp_path, holder, monkeypatch, locks_work
):
    if not locks_work:
        monkeypatch.setattr(locks, "fcntl", None)
    said = rf"out: is being written by another process \(process {holder.pid} on \S+ since 20.*wait"
    with pytest.raises(OutputError, match=said), claimed(tmp_path / "out"):
        pass
    assert len(names(tmp_path)) == 2  # its lock, and what it is writing
    with claimed(tmp_path / "other"):
        pass


@pytest.mark.parametrize("locks_work", [True, False])
def test_the_output_of_a_killed_process_is_taken_over_and_cleared(
    tmp_path, holder, monkeypatch, locks_work
):
    holder.kill()
    holder.wait()
    assert len(names(tmp_path)) == 2
    if not locks_work:
        monkeypatch.setattr(locks, "fcntl", None)
    with claimed(tmp_path / "out"):
        assert names(tmp_path) == [lock_path(tmp_path / "out").name]
        assert is_held(lock_path(tmp_path / "out"))
    assert names(tmp_path) == [] and not is_held(lock_path(tmp_path / "out"))


def test_a_number_of_a_process_that_was_used_again_is_not_taken_for_it():
    this = Owner.this()
    assert this.is_gone() is False
    earlier = Owner(this.host, this.boot, this.space, this.pid, this.start - 1)
    assert earlier.is_gone() is (this.start != 0)
    assert Owner(this.host, "0" * 6, this.space, this.pid, this.start).is_gone() is True
    assert Owner("0" * 6, "0" * 6, this.space, this.pid, this.start).is_gone() is None
    assert Owner(this.host, this.boot, "0" * 6, this.pid, this.start).is_gone() is None
    assert Owner.parse(this.token) == this and Owner.parse("x") is None


def test_without_times_of_start_the_number_counts_alone(monkeypatch):
    monkeypatch.setattr(owners, "_start_of", lambda _pid: 0)
    this = Owner.this()
    assert this.start == 0 and this.is_gone() is False
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert Owner(this.host, this.boot, this.space, int(gone.stdout), 0).is_gone() is True


def test_a_lock_of_another_machine_stays_until_it_is_deleted(tmp_path):
    lock = lock_path(tmp_path / "out")
    note = {"owner": ELSEWHERE, "host": "node7", "since": "then", "where": ""}
    lock.write_text(json.dumps(note))
    with pytest.raises(OutputError, match=rf"process 7 on node7 since then.*or delete {lock} if"):
        with claimed(tmp_path / "out"):
            pass
    lock.unlink()
    with claimed(tmp_path / "out"):
        pass


@pytest.mark.parametrize("content", [b"", b"no lock of ours", b'{"owner": 3}', b"[]"])
def test_a_lock_that_says_nothing_is_taken(tmp_path, content):
    lock_path(tmp_path / "out").write_bytes(content)
    with claimed(tmp_path / "out", None):
        pass
    assert names(tmp_path) == []


def test_one_process_locks_an_output_once(tmp_path):
    with claimed(tmp_path / "out"), pytest.raises(OutputError, match="is being written"):
        with claimed(tmp_path / "out"):
            pass
    with claimed(tmp_path / "out", tmp_path / "out" / "inside"):
        pass


def test_a_link_and_what_it_leads_to_have_one_lock(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with claimed(tmp_path / "link"), pytest.raises(OutputError, match="is being written"):
        with claimed(tmp_path / "out"):
            pass


def test_who_is_refused_is_told_where_the_owner_is(tmp_path):
    lock = OutputLock(tmp_path / "lock", tmp_path, "draw there")
    lock.tell("http://127.0.0.1:1234")
    with pytest.raises(OutputError, match=r", at http://127\.0\.0\.1:1234\); draw there\.$"):
        OutputLock(tmp_path / "lock", tmp_path, "draw there")
    lock.release()
    lock.release()
    assert names(tmp_path) == []


def hidden(place: Path, what: str, owner: str, age: float = 0) -> Path:
    path = place.with_name(f".{what}-{owner}-012345.{place.name}")
    path.mkdir(parents=True)
    (path / "content").write_text(what)
    os.utime(path, (time.time() - age,) * 2)
    return path


def gone() -> str:
    this = Owner.this()
    return Owner(this.host, this.boot, this.space, this.pid, 1).token


def test_what_belongs_to_nobody_alive_is_removed(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    stay = [
        hidden(tmp_path / "other", "part", ELSEWHERE),
        hidden(tmp_path / "other", "old", gone()),
        hidden(out / "inner", "part", ELSEWHERE),
        hidden(out / "inner", "part", Owner.this().token),
        tmp_path / ".part-of-mine",
    ]
    stay[-1].mkdir()
    go = [
        hidden(out, "part", ELSEWHERE),  # all who write it have its lock
        hidden(tmp_path / "other", "part", gone()),
        hidden(out / "deep" / "er", "part", gone()),
        hidden(out / "inner", "probe", gone()),
        hidden(out / "later", "part", ELSEWHERE, age=100_000),
    ]
    with claimed(out):
        assert [path for path in go if path.exists()] == []
    assert [path for path in stay if not path.exists()] == []


def test_an_output_that_was_moved_aside_is_put_back(tmp_path, caplog):
    out = tmp_path / "out"
    hidden(out, "old", gone())
    with claimed(out):
        assert (out / "content").read_text() == "old"
    assert "out: put back; a command that replaced it was killed" in caplog.text
    old = hidden(out, "old", gone())  # and the new one is in place
    with claimed(out):
        assert not old.exists()
    old, part = (hidden(out, what, gone()) for what in ("old", "part"))  # a user's is in place
    with claimed(out):
        assert old.exists() and f"{old}: is an earlier {out}" in caplog.text and not part.exists()


def test_hidden_names_differ_and_fit_the_disk(tmp_path):
    one, two = (hidden_sibling(tmp_path / ("ö" * 120 + ".tif")) for _ in range(2))
    assert one != two and one.suffix == ".tif"
    one.write_text("fits")
    with claimed(tmp_path / ("ö" * 120 + ".tif")):
        assert not one.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(OutputError, match="out: cannot be written"), claimed(tmp_path / "out"):
            pass
    finally:
        tmp_path.chmod(0o755)
