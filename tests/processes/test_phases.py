"""Processor time is told apart by what it was spent for, and each second counts once."""

from __future__ import annotations

import re
import threading
import time

from clusternet.processes.phases import Phases


def work(seconds: float = 0.05) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def told(phases: Phases) -> dict[str, float]:
    found = re.findall(r"([a-z ]+) ([\d.]+)", phases.summary().partition("(")[2])
    return {name.strip(): float(seconds) for name, seconds in found}


def test_time_counts_once_in_the_outer_block() -> None:
    phases = Phases()

    @phases.during("reading")
    def read() -> None:
        work()

    read()
    with phases.during("writing"):
        read()
    seconds = told(phases)
    assert 0.05 <= seconds["reading"] < 0.09 and 0.05 <= seconds["writing"] < 0.09


def test_the_start_ends_with_the_first_pixels_and_goes_on_with_libraries() -> None:
    phases = Phases()
    with phases.during("start"):
        work()
    with phases.during("reading"):
        first = time.process_time()
    work()
    with phases.during("start"):
        work()
    seconds = told(phases)
    assert first - 0.02 <= seconds["start"] - 0.05 < first + 0.04
    assert seconds["computing"] >= 0.04


def test_threads_count_apart() -> None:
    phases = Phases()

    @phases.during("reading")
    def read() -> None:
        work()

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    assert 0.15 <= told(phases)["reading"] < 0.2
