"""Progress for programs: one line for each state, and nothing that moves a cursor."""

from __future__ import annotations

import subprocess
import sys

import pytest

from clusternet.processes.progress import Progress


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERNET_PROGRESS", "lines")
    monkeypatch.setattr("clusternet.processes.progress._SECONDS", 0)


@pytest.mark.usefixtures("lines")
def test_each_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(total=3, desc="tiling", unit="patch") as bar:
        for _ in range(3):
            bar.update()
    states = [f"PROGRESS: {number}/3 tiling" for number in range(4)]
    assert capsys.readouterr().err.splitlines() == states


@pytest.mark.usefixtures("lines")
def test_a_bar_within_a_bar_and_one_without_an_end_are_lines_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for _ in Progress(range(2), "outer"):
        list(Progress(iter("ab"), "inner", leave=False))
    printed = capsys.readouterr().err
    assert "\r" not in printed and "\x1b" not in printed
    seen = {line.removeprefix("PROGRESS: ") for line in printed.splitlines()}
    assert {"2/2 outer", "1/None inner", "2/None inner"} <= seen


def test_no_terminal_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    list(Progress(range(3)))
    assert capsys.readouterr().err == ""


def test_in_a_notebook_the_bar_is_that_of_tqdm_auto() -> None:
    code = (
        "import sys, types; sys.modules['ipykernel'] = types.ModuleType('ipykernel')\n"
        "from clusternet.processes.progress import Progress\n"
        "import tqdm.auto\n"
        "assert issubclass(Progress, tqdm.auto.tqdm)\n"
        "list(Progress(range(2), desc='cells', file=sys.stdout))\n"  # though this is no terminal
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "cells: 100%" in done.stdout
