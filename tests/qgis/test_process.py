"""How the plugin of QGIS finds and runs the command; no QGIS is needed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

sys.path.append(str(ROOT / "qgis"))
from clusternet_provider import process
from clusternet_provider.process import CanceledError, CommandError, Progress, find_command, run

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


class Feedback:
    """Remembers what it is told; cancels when a text comes."""

    def __init__(self, cancel_at: str = "never") -> None:
        self.said: list[tuple[str, str]] = []
        self.percent: list[float] = []
        self._cancel_at = cancel_at

    def isCanceled(self) -> bool:
        return any(self._cancel_at in text for _, text in self.said)

    def setProgress(self, percent: float) -> None:
        self.percent.append(round(percent, 1))

    def setProgressText(self, text: str) -> None:
        self.said.append(("doing", text))

    def pushInfo(self, text: str) -> None:
        self.said.append(("info", text))

    def pushWarning(self, text: str) -> None:
        self.said.append(("warning", text))

    def pushCommandInfo(self, text: str) -> None:
        self.said.append(("command", text.partition(" ")[0]))


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", f"import sys, time, os, signal, subprocess\n{code}"]


@pytest.fixture
def environment_folder(tmp_path: Path) -> Path:
    for name in ("bin/clusternet", "python3.12", "other"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_the_command_is_found_by_folder_program_or_python(environment_folder: Path) -> None:
    program = str(environment_folder / "bin" / "clusternet")
    assert find_command(str(environment_folder)) == [program]
    assert find_command(f" {program} ") == [program]
    python_path = str(environment_folder / "python3.12")
    assert find_command(python_path) == [python_path, "-m", "clusternet"]


def test_without_a_setting_the_path_is_searched(
    environment_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(environment_folder / "bin"))
    (environment_folder / "bin" / "clusternet").chmod(0o755)
    assert find_command("") == [str(environment_folder / "bin" / "clusternet")]
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CommandError, match="Settings > Options > Processing"):
        find_command("")


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_wrong_setting_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="correct it in Settings"):
        find_command(str(tmp_path / name))


def test_messages_progress_and_result_are_passed_on() -> None:
    feedback = Feedback()
    result = run(
        python(
            "say = lambda text: print(text, file=sys.stderr, flush=True)\n"
            "say('INFO: two labels')\nsay('WARNING: odd')\nsay('PROGRESS: 1/4 tiling')\n"
            "say('PROGRESS: 4/4 tiling')\nsay('PROGRESS: 3/None reading')\nprint('done: 4')"
        ),
        feedback,
    )
    assert result == "done: 4"
    assert feedback.percent == [25, 100]
    assert {pair for pair in feedback.said if pair[0] != "command"} == {
        ("info", "two labels"), ("warning", "odd"), ("doing", "tiling"), ("info", "done: 4"),
    }  # fmt: skip


def test_epochs_are_shares_of_a_training() -> None:
    feedback = Feedback()
    progress = Progress(feedback, epochs=4)
    for line in ("PROGRESS: 5/10 survey", "PROGRESS: 5/10 epoch 1", "PROGRESS: 9/9 embed",
                 "PROGRESS: 10/10 epoch 4"):  # fmt: skip
        assert progress.read(line)
    assert feedback.percent == [12.5, 100]
    assert not progress.read("INFO: epoch 4")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("print('INFO: a\\nerror: x.tif: no such file.', file=sys.stderr); sys.exit(2)",
         "x.tif: no such file."),
        ("sys.exit(3)", "ended with exit status 3"),
        ("raise ValueError('odd')", "ValueError: odd"),
    ],
)  # fmt: skip
def test_a_failure_is_told_in_the_words_of_the_command(code: str, told: str) -> None:
    with pytest.raises(CommandError) as failure:
        run(python(code), Feedback())
    assert str(failure.value) == told


def test_a_program_that_cannot_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "clusternet").write_text("no program")
    with pytest.raises(CommandError, match="cannot be started"):
        run([str(tmp_path / "clusternet")], Feedback())


def test_nothing_leads_the_command_to_the_libraries_of_qgis(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/qgis")
    monkeypatch.setenv("PROJ_LIB", "/qgis/proj")
    found = process.environment()
    assert {"PYTHONHOME", "PROJ_LIB"}.isdisjoint(found) and found["PATH"] == os.environ["PATH"]
    assert found["CLUSTERNET_PROGRESS"] == "lines"


@on_posix
def test_cancelling_lets_the_command_tidy_up() -> None:
    code = (
        "def end(*_):\n    print('tidy', flush=True)\n    os._exit(130)\n"
        "signal.signal(signal.SIGTERM, end)\nprint('INFO: up', file=sys.stderr, flush=True)\n"
        "time.sleep(60)"
    )
    begin = time.monotonic()
    with pytest.raises(CanceledError):
        run(python(code), Feedback(cancel_at="up"))
    assert time.monotonic() - begin < 30


@on_posix
def test_what_does_not_end_is_killed_with_its_children() -> None:
    code = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "nap = [sys.executable, '-I', '-S', '-c', 'import time; time.sleep(60)']\n"
        "child = subprocess.Popen(nap)\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    child = subprocess.Popen(
        python(code), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with child:
        grandchild = int(child.stdout.readline())
        process.stop(child, wait=0.2)
        assert child.returncode == -9
        for _ in range(100):
            if not _runs(grandchild):
                break
            time.sleep(0.05)
        assert not _runs(grandchild)


def _runs(pid: int) -> bool:
    """Tell whether a process runs; a zombie that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
