"""Outputs appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from clusternet.errors import OutputError
from clusternet.files import check_new, new_file, new_folder


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_file_appears_when_the_block_ends(tmp_path):
    with new_file(tmp_path / "a.txt") as part:
        part.write_text("done")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "done"
    assert everything(tmp_path) == ["a.txt"]


def test_the_hidden_file_keeps_the_suffix(tmp_path):
    with new_file(tmp_path / "a.tif") as part:
        part.touch()
        assert part.name.startswith(".") and part.suffix == ".tif"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_no_file(tmp_path, failure):
    with pytest.raises(failure), new_file(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise failure
    assert everything(tmp_path) == []


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_no_folder(tmp_path, failure):
    with pytest.raises(failure), new_folder(tmp_path / "a") as part:
        (part / "half").touch()
        raise failure
    assert everything(tmp_path) == []


def test_a_failure_leaves_the_old_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with pytest.raises(ValueError), new_folder(tmp_path / "a", overwrite=True) as part:
        (part / "new").touch()
        raise ValueError
    assert everything(tmp_path) == ["a", "a/old"]


def test_overwriting_replaces_a_folder_whole(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with new_folder(tmp_path / "a", overwrite=True) as part:
        (part / "new").touch()
    assert everything(tmp_path) == ["a", "a/new"]


def test_an_existing_folder_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with pytest.raises(OutputError, match=r"exists already.*--overwrite"):
        check_new(tmp_path / "a", overwrite=False)


def test_an_empty_folder_counts_as_absent(tmp_path):
    (tmp_path / "a").mkdir()
    with new_folder(tmp_path / "a") as part:
        (part / "new").touch()
    assert everything(tmp_path) == ["a", "a/new"]


def test_a_full_disk_is_one_clear_line(tmp_path):
    with pytest.raises(OutputError, match=r"a: cannot be written .No space left"):
        with new_folder(tmp_path / "a"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert everything(tmp_path) == []


def test_a_file_in_place_of_the_parent_folder_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        with new_file(tmp_path / "file" / "a.txt"):
            pass
    assert everything(tmp_path) == ["file"]
