"""The command `clusternet`: how it finds a command, and what it says of a wrong one."""

from __future__ import annotations

import logging
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import clusternet
from clusternet.commands import program
from clusternet.commands.table import SUMMARIES, command_module


def output(capsys: pytest.CaptureFixture[str], *words: str, status: int | None = 0) -> str:
    with pytest.raises(SystemExit) as end:
        program.main(words)
    assert (end.value.code or 0) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "--help")
    assert [name for name in SUMMARIES if f"\n  {name} " not in text] == []


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "--version") == f"clusternet {clusternet.__version__}\n"


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_command_prints_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, name, "--help").startswith(f"usage: clusternet {name} ")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("", "expected a command: tile, train, predict"),
        ("-q", "expected a command: "),
        ("trian PATCHES", "trian is not a command; did you mean train?"),
        ("xyz", "xyz is not a command."),
        ("--num_epochs 3 train", "unrecognized arguments: --num_epochs"),
        ("-v -q train", "not allowed with"),
        ("-q train -v", "not allowed with"),
        ("tile nowhere --output_folder x", "nowhere: no such file or folder."),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = output(capsys, *shlex.split(words), status=2)
    assert error.startswith("error: ") and text in error and error.count("\n") == 1


def scene(folder: Path, *flags: str, before: tuple[str, ...] = ()) -> None:
    program.main([*before, "scene", str(folder / "scene"), *flags])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusternet.demo.scene.write_scenes", lambda *_, **__: [])


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("flags", "level"),
    [((), logging.INFO), (("-v",), logging.DEBUG), (("--quiet",), logging.WARNING)],
)
def test_what_is_logged_follows_the_flag(
    flags: tuple[str, ...], level: int, before: bool, tmp_path: Path
) -> None:
    scene(tmp_path, *(() if before else flags), before=flags if before else ())
    assert logging.getLogger("clusternet").level == level


def test_quiet_hides_bars_and_verbose_tells_time_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hidden = []

    def write(*_: object, **__: object) -> list[Path]:
        from clusternet.processes.progress import Progress

        hidden.append(Progress(total=1).disable)
        return []

    monkeypatch.setattr("clusternet.demo.scene.write_scenes", write)
    monkeypatch.setenv("CLUSTERNET_PROGRESS", "lines")
    scene(tmp_path, "--quiet")
    scene(tmp_path)
    assert hidden == [True, False]
    assert caplog.text == ""
    scene(tmp_path, "--verbose")
    assert f"clusternet {clusternet.__version__}, Python 3." in caplog.text
    assert " MB of memory at most" in caplog.text or sys.platform == "win32"


def test_every_module_beside_the_table_is_a_command_or_serves_them() -> None:
    folder = Path(program.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} == {
        *SUMMARIES, "__init__", "program", "table",
    }  # fmt: skip


def test_python_runs_the_package() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "clusternet", "--version"], text=True, capture_output=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == f"clusternet {clusternet.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command_and_flag(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("shtab")
    program.main(["completion", shell])
    script = capsys.readouterr().out
    for name in SUMMARIES:
        for action in command_module(name).build_parser().actions:
            flags = [flag for flag in action.option_strings if flag.startswith("--")]
            assert name in script and [f for f in flags if f.lstrip("-") not in script] == []
