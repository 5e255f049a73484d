"""Signals ask: the work answers between its steps, and a second signal ends it at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from naps import sleep_in_one, sleep_in_steps

import clusternet.processes.interrupts
from clusternet.processes.interrupts import SIGNALS, interrupts
from clusternet.processes.prefetch import prefetch
from clusternet.processes.progress import Progress
from clusternet.processes.waiting import run_aside, run_command_line
from clusternet.processes.workers import map_unordered

each_signal = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)


def ask(number: int = signal.SIGTERM) -> None:
    """Send this process a signal, and wait until it is noticed."""
    signal.raise_signal(number)
    until(lambda: interrupts.requested)


def until(holds, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Fail if a test leaves anything of the process changed."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert not interrupts.requested
    assert not [thread for thread in threading.enumerate() if thread.name == "signals"]


@each_signal
def test_a_signal_is_answered_where_it_is_asked_for(number: int) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        ask(number)
        done.append("step")
        interrupts.check()
        done.append("never reached")
    assert done == ["step"]


@each_signal
def test_a_late_signal_is_answered_at_the_end(number: int) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt):
        with interrupts.listening():
            signal.raise_signal(number)
            done.append("saved")
        done.append("never reached")
    assert done == ["saved"]


def test_without_a_signal_nothing_happens() -> None:
    with interrupts.listening():
        interrupts.check()


def test_the_end_of_an_inner_block_answers_nothing() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        with interrupts.listening():
            ask()
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_a_failure_is_raised_as_it_is() -> None:
    with pytest.raises(KeyError), interrupts.listening():
        ask()
        raise KeyError


def test_what_one_block_was_asked_is_nothing_to_the_next() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        ask()
    with interrupts.listening():
        interrupts.check()


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as nohup does with SIGHUP
    try:
        with interrupts.listening():
            signal.raise_signal(signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_neither_listen_nor_answer() -> None:
    done = []

    def work() -> None:
        with interrupts.listening():
            interrupts.check()
            done.append("saved")

    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        ask()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert done == ["saved"]


def test_signals_that_come_together_are_one() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        ask()
        signal.raise_signal(signal.SIGHUP)  # as service managers send both
        time.sleep(0.05)
        interrupts.check()


def test_a_caller_who_insists_is_interrupted_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusternet.processes.interrupts, "_ONE_REQUEST", 0)
    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        ask()
        time.sleep(0.001)
        signal.raise_signal(signal.SIGTERM)
        time.sleep(10)
        raise AssertionError


class Script:
    """A small script that owns its process and is up; ``stage`` waits for it to print a word."""

    def __init__(self, *lines: str) -> None:
        start = ["import time, sys", "from clusternet.processes.interrupts import interrupts"]
        code = "\n".join([*start, "interrupts.own_process()", "print('up', flush=True)", *lines])
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self.stage("up")

    def stage(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{word}\n"

    def end(self) -> tuple[int, str]:
        """Return exit status and stderr."""
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@each_signal
def test_a_script_that_starts_ends_at_once_in_one_line(number: int) -> None:
    script = Script("time.sleep(30)")
    script.process.send_signal(number)
    assert script.end() == (130, "interrupted.\n")


def test_the_line_is_seen_where_stderr_is_turned_off_for_a_while() -> None:
    script = Script(
        "from clusternet.process_setup import quiet_stderr",
        "with quiet_stderr():",
        "    print('quiet', flush=True)",
        "    time.sleep(30)",
    )
    script.stage("quiet")
    script.process.send_signal(signal.SIGTERM)
    assert script.end() == (130, "interrupted.\n")


LONG_CALL = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"


def test_the_second_signal_ends_a_script_at_once_even_in_a_long_call() -> None:
    script = Script(
        "with interrupts.listening():", "    print('in', flush=True)", f"    {LONG_CALL}"
    )
    script.stage("in")
    script.process.send_signal(signal.SIGINT)
    time.sleep(0.4)
    assert script.process.poll() is None  # the first one only asks
    script.process.send_signal(signal.SIGINT)
    assert script.end() == (130, "interrupted.\n")


def test_a_script_answers_between_steps_and_says_what_is_saved() -> None:
    script = Script(
        "from clusternet.command_line.command import run_command",
        "def work():",
        "    with interrupts.listening():",
        "        print('in', flush=True)",
        "        try:",
        "            while True: interrupts.check(); time.sleep(0.01)",
        "        except KeyboardInterrupt: raise KeyboardInterrupt('a\\nfile holds all.')",
        "run_command(work)",
    )
    script.stage("in")
    script.process.send_signal(signal.SIGHUP)
    assert script.end() == (130, "interrupted; a\\nfile holds all.\n")


def test_a_signal_that_comes_when_all_is_done_changes_nothing() -> None:
    script = Script(
        "from clusternet.command_line.command import run_command",
        "run_command(lambda: print('done', flush=True))",
        "print('over', flush=True)",
        "time.sleep(0.5)",
    )
    for word in ("done", "over"):
        script.stage(word)
    script.process.send_signal(signal.SIGTERM)
    assert script.end() == (0, "")


def test_a_bar_answers_after_each_step() -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        for item in Progress(range(9)):
            seen.append(item)
            if item == 2:
                ask()
    assert seen == [0, 1, 2]
    with pytest.raises(KeyboardInterrupt), interrupts.listening(), Progress(total=9) as bar:
        bar.update()
        ask()
        bar.update()
        raise AssertionError


def test_reading_ahead_answers_even_while_a_file_does_not_come() -> None:
    come = threading.Event()
    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        threading.Timer(0.2, come.set).start()
        for _ in prefetch(lambda _: (ask_aside(), come.wait(10)), range(99), workers=2):
            raise AssertionError
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def ask_aside() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_call_that_cannot_be_stopped_is_left_behind() -> None:
    done = threading.Event()
    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        run_aside(lambda: (ask_aside(), done.wait(10)))
    done.set()
    with interrupts.listening():
        assert run_aside(lambda: 7) == 7
        with pytest.raises(KeyError):
            run_aside(lambda: {}["a"])


@pytest.mark.parametrize("work", [sleep_in_steps, sleep_in_one])
def test_workers_stop_with_their_parent(work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusternet.processes.workers._LAST_STEP_SECONDS", 0.2)
    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        results = map_unordered(work, [0, 60, 60, 60], 2)
        assert next(results) == (0, None)
        ask()
        begin = time.monotonic()
        next(results)
    assert time.monotonic() - begin < 5


def test_a_program_is_stopped_with_the_one_that_started_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("clusternet.processes.waiting._PASS_ON_AFTER", 0.01)
    code = "import pathlib, time; pathlib.Path('up').touch(); time.sleep(30)"
    threading.Thread(target=lambda: (until((tmp_path / "up").exists), ask_aside())).start()
    begin = time.monotonic()
    with interrupts.listening():
        assert run_command_line([sys.executable, "-c", code], tmp_path) == -signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        interrupts._asked = None
    assert time.monotonic() - begin < 20
