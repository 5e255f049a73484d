"""Find the command ``clusternet`` and run it: progress, cancelling, messages. No QGIS is needed."""

from __future__ import annotations

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

COMMAND = "CLUSTERNET_COMMAND"
"""The provider's setting, and the environment variable that is its default."""
_ON_WINDOWS = sys.platform == "win32"
_NOT_PASSED_ON = (
    "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE",
    "GDAL_DATA", "GDAL_DRIVER_PATH", "PROJ_LIB", "PROJ_DATA", "LD_PRELOAD",
)  # fmt: skip
"""Variables by which QGIS leads programs to its own Python, GDAL and PROJ."""
_LOOK_EVERY = 0.1  # seconds between two looks whether the user has cancelled
_OWN_END_SECONDS = 15.0  # in which the command tidies up and ends by itself
_PROGRESS = re.compile(r"PROGRESS: (\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)\s*(.*)")
_EPOCH = re.compile(r"epoch (\d+)")


class CommandError(Exception):
    """The command cannot be found, or has failed; the message is for the user."""


class CanceledError(Exception):
    """The user has cancelled, and the command has ended."""


class Feedback(Protocol):
    """The part of QgsProcessingFeedback that is used here."""

    def isCanceled(self) -> bool:
        """Return True once the user has cancelled."""

    def setProgress(self, percent: float) -> None:
        """Show how far the work is."""

    def setProgressText(self, text: str) -> None:
        """Show what is done."""

    def pushInfo(self, text: str) -> None:
        """Write to the log."""

    def pushWarning(self, text: str) -> None:
        """Write a warning to the log."""

    def pushCommandInfo(self, text: str) -> None:
        """Write a command line to the log."""


def find_command(setting: str) -> list[str]:
    """Return the words that start ``clusternet``.

    Args:
        setting: a folder of an environment, a ``clusternet`` program, or a Python that has the
            package; empty means the program on the PATH.

    Raises:
        CommandError: if there is no such thing.
    """
    setting = setting.strip()
    where = "Settings > Options > Processing > Providers > ClusterNet"
    if not setting:
        found = shutil.which("clusternet")
        if found is None:
            raise CommandError(
                f"The command clusternet is not on the PATH; install ClusterNet, and name the "
                f"folder of its environment in {where}."
            )
        return [found]
    path = Path(setting).expanduser()
    if path.is_dir():
        names = ("Scripts/clusternet.exe", "bin/clusternet", "clusternet")
        program = next((path / name for name in names if (path / name).is_file()), None)
        if program is None:
            raise CommandError(
                f"{path}: expected an environment with the command clusternet, found none; "
                f"correct it in {where}."
            )
        return [str(program)]
    if not path.is_file():
        raise CommandError(f"{path}: no such file or folder; correct it in {where}.")
    if path.stem.lower().startswith("python"):
        return [str(path), "-m", "clusternet"]
    return [str(path)]


def environment() -> dict[str, str]:
    """Return the environment of the command: without what leads to QGIS' own libraries."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    return kept | {
        "CLUSTERNET_PROGRESS": "lines",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }


class Progress:
    """Turns lines of progress into one percentage."""

    def __init__(self, feedback: Feedback, epochs: int | None = None) -> None:
        """Start at zero.

        Args:
            feedback: is told.
            epochs: of a training, whose bars are then shares of the whole.
        """
        self._feedback, self._epochs, self._text = feedback, epochs, ""

    def read(self, line: str) -> bool:
        """Tell of a line of progress; return False if it is another line."""
        match = _PROGRESS.match(line)
        if match is None:
            return line.startswith("PROGRESS: ")
        share = min(float(match[1]) / max(float(match[2]), 1e-9), 1.0)
        text = match[3].strip()
        if text != self._text:
            self._text = text
            self._feedback.setProgressText(text)
        if self._epochs is None:
            self._feedback.setProgress(100 * share)
        elif epoch := _EPOCH.match(text):
            self._feedback.setProgress(100 * min((int(epoch[1]) - 1 + share) / self._epochs, 1))
        return True


def run(words: Sequence[str], feedback: Feedback, *, epochs: int | None = None) -> str:
    """Run a command to its end, and return what it printed as its result.

    Args:
        words: the command line.
        feedback: gets progress and messages, and is asked whether the user has cancelled.
        epochs: see `Progress`.

    Raises:
        CommandError: if it fails; the message is its own.
        CanceledError: if the user has cancelled; the command has then ended.
    """
    feedback.pushCommandInfo(" ".join(words))
    options: dict[str, Any] = {"start_new_session": True}
    if _ON_WINDOWS:
        group: int = subprocess.CREATE_NEW_PROCESS_GROUP  # type: ignore[attr-defined,unused-ignore]
        options = {"creationflags": group}
    try:
        child = subprocess.Popen(  # noqa: S603  (the program that the user named)
            list(words), env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace", **options,
        )  # fmt: skip
    except OSError as error:
        raise CommandError(f"{words[0]}: cannot be started ({error.strerror}).") from error
    with child:
        lines: queue.Queue[tuple[str, str]] = queue.Queue()
        readers = [
            threading.Thread(target=_read, args=(stream, name, lines), daemon=True)
            for name, stream in (("result", child.stdout), ("said", child.stderr))
        ]
        for reader in readers:
            reader.start()
        return _follow(child, lines, readers, Progress(feedback, epochs), feedback)


def _read(stream: Any, name: str, lines: queue.Queue[tuple[str, str]]) -> None:
    for line in stream:
        lines.put((name, line.rstrip("\r\n")))


def _follow(
    child: subprocess.Popen[str],
    lines: queue.Queue[tuple[str, str]],
    readers: Sequence[threading.Thread],
    progress: Progress,
    feedback: Feedback,
) -> str:
    """Pass on what the command says until it ends; see `run`."""
    result: list[str] = []
    said: list[str] = []
    while True:
        if feedback.isCanceled():
            stop(child)
            raise CanceledError
        try:
            name, line = lines.get(timeout=_LOOK_EVERY)
        except queue.Empty:
            if child.poll() is not None and not any(reader.is_alive() for reader in readers):
                break
            continue
        if name == "result":
            result.append(line)
            feedback.pushInfo(line)
        elif not progress.read(line):
            said.append(line)
            _tell(line, feedback)
    if child.wait():
        raise CommandError(_reason(said) or f"ended with exit status {child.returncode}")
    return "\n".join(result)


def _reason(said: Sequence[str]) -> str:
    """Return the line that tells why a command failed."""
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    others = [line for line in said if not line.startswith(("INFO", "WARNING", "This is a fault"))]
    return (errors or others or [""])[-1]


def _tell(line: str, feedback: Feedback) -> None:
    for start, tell in (("INFO: ", feedback.pushInfo), ("WARNING: ", feedback.pushWarning)):
        if line.startswith(start):
            tell(line.removeprefix(start))
            return
    if not line.startswith("error: "):
        feedback.pushInfo(line)


def stop(child: subprocess.Popen[str], wait: float = _OWN_END_SECONDS) -> None:
    """Ask a command to stop, as `kill` does, and end it and its children if it does not."""
    _signal(child, signal.CTRL_BREAK_EVENT if _ON_WINDOWS else signal.SIGTERM)  # type: ignore[attr-defined,unused-ignore]
    end = time.monotonic() + wait
    while child.poll() is None and time.monotonic() < end:
        time.sleep(_LOOK_EVERY)
    if child.poll() is None:
        if _ON_WINDOWS:
            child.kill()
        else:
            _signal(child, signal.SIGKILL)
    child.wait()


def _signal(child: subprocess.Popen[str], number: int) -> None:
    """Send a signal to a command that has a process group of its own."""
    try:
        if _ON_WINDOWS:
            child.send_signal(number)
        else:
            os.killpg(child.pid, number)
    except ProcessLookupError:  # it has just ended
        return
