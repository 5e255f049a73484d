"""How folders take their names: at once where the system can, and so that a crash loses nothing."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_disk_full import mount, unmount

from clusternet.errors import OutputError
from clusternet.files import outputs as files
from clusternet.files import placing
from clusternet.files.locks import claimed
from clusternet.files.outputs import Kind, check_new, check_writable, new_file, new_folder
from clusternet.files.placing import exchange, is_mount
from clusternet.processes.owners import Owner

OURS = Kind("folder of ours", lambda folder: (folder / "mark").exists(), lambda _: lambda _: True)
linux = pytest.mark.skipif(sys.platform != "linux", reason="as Linux does it")


class Killed(BaseException):
    """Ends everything, as a kill does."""


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text()
            for path in folder.rglob("*") if path.is_file()}  # fmt: skip


def make(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("mark", "deep/er/file"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@linux
def test_two_names_are_exchanged_at_once(tmp_path):
    one, two = make(tmp_path / "one", "1"), make(tmp_path / "two", "2")
    assert exchange(one, two)
    assert tree(one)["mark"] == "2" and tree(two)["mark"] == "1"
    with pytest.raises(FileNotFoundError):
        exchange(one, tmp_path / "missing")


@pytest.mark.parametrize("exchanges", [pytest.param(True, marks=linux), False])
def test_a_folder_is_replaced_by_a_new_one(tmp_path, monkeypatch, exchanges):
    moments = []
    out = make(tmp_path / "out", "old")
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        moments.append(out.exists())
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    if not exchanges:
        monkeypatch.setattr(placing, "exchange", lambda *_: False)
    with new_folder(out, kind=OURS, overwrite=True) as part:
        make(part, "new")
    assert set(tree(tmp_path)) == {"out/mark", "out/deep/er/file"} and tree(out)["mark"] == "new"
    assert all(moments) is exchanges


@pytest.mark.parametrize("point", range(4))
@pytest.mark.parametrize("what", ["rename", "rmtree"])
def test_wherever_it_is_killed_the_next_command_finds_one_of_both(
    tmp_path, monkeypatch, what, point
):
    out = make(tmp_path / "out", "old")
    calls = iter(range(99))

    def killed(call):
        def fail(*args, **options):
            if next(calls) >= point:
                raise Killed
            return call(*args, **options)

        return fail

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(placing, "exchange", lambda *_: False)
        patch.setattr(Path, "rename", killed(Path.rename))
        patch.setattr("shutil.rmtree", killed(lambda *_, **__: None))
        if what == "rmtree":
            patch.setattr(Path, "rename", Path.rename)
        with new_folder(out, kind=OURS, overwrite=True) as part:
            make(part, "new")
        raise Killed  # nothing was left to kill
    monkeypatch.setattr(Owner, "is_gone", lambda _owner: True)
    with claimed(out):
        pass
    assert set(tree(tmp_path)) == {"out/mark", "out/deep/er/file"}
    assert tree(out)["mark"] in ("old", "new")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "size=1m")
    yield folder
    unmount(folder)


@linux
def test_a_mounted_folder_is_filled(disk):
    (disk / "lost+found").mkdir()
    assert is_mount(disk) and not is_mount(disk / "lost+found")
    check_writable(disk)
    with claimed(disk), new_folder(disk, kind=OURS) as part:
        make(part, "new")
    assert tree(disk) == {"mark": "new", "deep/er/file": "new"}
    with pytest.raises(OutputError, match=r"disk: is mounted, .*name a folder inside it"):
        check_new(disk, kind=OURS, overwrite=True)
    with claimed(disk / "inside"), new_folder(disk / "inside", kind=OURS) as part:
        make(part, "new")


@linux
@pytest.mark.parametrize("point", range(3))
def test_a_mounted_folder_that_was_half_filled_is_filled_by_the_next_command(
    disk, monkeypatch, point
):
    rename, calls = Path.rename, iter(range(99))

    def killed(self: Path, target: Path) -> Path:
        if next(calls) == point:
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "rename", killed)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        with new_folder(disk, kind=OURS) as part:
            make(part, "new")
    monkeypatch.setattr(Owner, "is_gone", lambda _owner: True)
    with claimed(disk):
        pass
    complete = {"mark": "new", "deep/er/file": "new"}
    assert tree(disk) == (complete if point else {})  # before it began nothing was complete


@linux
def test_a_folder_of_the_same_disk_can_be_mounted_too(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "real").mkdir()
    mount(tmp_path / "a b", "", str(tmp_path / "real"))
    try:
        assert is_mount(tmp_path / "a b") and not os.path.ismount(tmp_path / "a b")
        with new_folder(tmp_path / "a b", kind=OURS) as part:
            make(part, "new")
        assert tree(tmp_path / "real")["mark"] == "new"
    finally:
        unmount(tmp_path / "a b")


@linux
def test_a_mounted_file_is_refused_at_the_start(tmp_path):
    for name in ("file", "real"):
        (tmp_path / name).touch()
    mount(tmp_path / "file", "", str(tmp_path / "real"))
    try:
        with pytest.raises(OutputError, match=r"file: is mounted as a file.*mount its folder"):
            with new_file(tmp_path / "file", overwrite=True):
                pass
    finally:
        unmount(tmp_path / "file")


@pytest.mark.parametrize("many", [False, True])
def test_all_is_on_the_disk_before_a_name_says_so(tmp_path, monkeypatch, many):
    done: list[str] = []

    def note(name, call):
        def called(*args):
            done.append(name)
            return call(*args)

        return called

    monkeypatch.setattr(placing, "_MANY_FILES", 1 if many else 99)
    monkeypatch.setattr(os, "fsync", note("sync", os.fsync))
    monkeypatch.setattr(placing, "_sync_disk", note("sync", placing._sync_disk))
    monkeypatch.setattr(Path, "replace", note("name", Path.replace))
    monkeypatch.setattr(files, "put_folder", note("name", files.put_folder))
    with new_file(tmp_path / "file") as part:
        part.write_text("new")
    assert done == ["sync", "name", "sync"]
    done.clear()
    with new_folder(tmp_path / "folder", kind=OURS) as part:
        make(part, "new")
    place = done.index("name")
    assert place == (1 if many else 5) and done[place + 1 :] == ["sync"]


def test_a_disk_that_fails_while_it_is_synced_leaves_nothing(tmp_path, monkeypatch):
    def fail(_stream):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match=r"a: cannot be written .Input/output error"):
        with new_file(tmp_path / "a") as part:
            part.write_text("lost")
    assert list(tmp_path.iterdir()) == []
