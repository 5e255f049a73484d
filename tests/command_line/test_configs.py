"""The files of settings that come with ClusterNet are found by name, everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT

from clusternet.command_line.configs import settings_file, shipped_files


def test_the_files_of_the_checkout_come_with_it() -> None:
    assert set(shipped_files().values()) == set((ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("text", ["official", "configs/official.yaml"])
def test_a_shipped_file_is_found_in_any_folder(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings_file(text) == ROOT / "configs" / "official.yaml"


@pytest.mark.parametrize("text", ["official", "configs/official.yaml"])
def test_a_file_of_the_user_is_meant_first(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    Path(text).write_text("num_clusters: 3\n")
    assert settings_file(text) == Path(text)


def test_a_folder_of_that_name_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo").mkdir()  # as the demo itself makes one
    assert settings_file("demo") == ROOT / "configs" / "demo.yaml"


@pytest.mark.parametrize("text", ["official.yaml", "x/official.yaml", "officials", "~/official"])
def test_other_names_are_paths(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings_file(text) == Path(text).expanduser()
