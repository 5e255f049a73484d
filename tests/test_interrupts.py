"""Signals wait until something is saved, and then take effect as they would have."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from clusternet.interrupts import finish_first

both = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


class Stopped(Exception):
    """What the handlers of these tests raise."""


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    def stop(number: int, _frame: object) -> None:
        raise Stopped(number)

    kept = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@both
def test_a_signal_waits_for_the_end_of_the_block(number: int) -> None:
    done = []
    with pytest.raises(Stopped):
        with finish_first():
            signal.raise_signal(number)
            done.append("saved")
        done.append("never reached")
    assert done == ["saved"]


def test_the_first_of_several_signals_counts() -> None:
    with pytest.raises(Stopped) as end, finish_first():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert end.value.args == (signal.SIGTERM,)


@both
def test_a_signal_after_the_block_takes_effect_at_once(number: int) -> None:
    with finish_first():
        pass
    with pytest.raises(Stopped):
        signal.raise_signal(number)


def test_the_handlers_come_back_after_an_exception() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyError), finish_first():
        raise KeyError
    assert signal.getsignal(signal.SIGINT) is before


@both
def test_blocks_nest(number: int) -> None:
    done = []
    with pytest.raises(Stopped):
        with finish_first():
            with finish_first():
                signal.raise_signal(number)
                done.append("inner")
            done.append("outer")
    assert done == ["inner", "outer"]


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as under nohup
    with finish_first():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_in_another_thread_it_does_nothing() -> None:
    done = []

    def work() -> None:
        with finish_first():
            done.append("saved")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["saved"]
