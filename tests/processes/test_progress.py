"""Progress for programs: one line for each state, and nothing that moves a cursor."""

from __future__ import annotations

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
