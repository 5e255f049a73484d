"""Work ahead of its consumer: in order, bounded, and never left running."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusternet.processes.prefetch import prefetch


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@given(st.lists(st.integers()), st.integers(1, 4), st.integers(0, 5))
def test_results_come_in_order_and_complete(items, workers, ahead) -> None:
    assert list(prefetch(lambda item: (item,), items, workers, ahead)) == [(i,) for i in items]


def test_order_is_kept_when_the_first_is_the_slowest() -> None:
    def slow_start(number: int) -> int:
        time.sleep(0.1 if number == 0 else 0)
        return number

    assert list(prefetch(slow_start, range(12), 4)) == list(range(12))


@pytest.mark.parametrize("workers", [1, 3])
def test_an_exception_is_raised_at_its_place(workers: int) -> None:
    def fail_at_three(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    seen = []
    with pytest.raises(ValueError, match="three"):
        for result in prefetch(fail_at_three, range(10), workers):
            seen.append(result)
    assert seen == [0, 1, 2] and reading_threads() == []


def test_no_more_is_read_ahead_than_asked_for() -> None:
    started = []
    results = prefetch(started.append, range(100), workers=2, ahead=3)
    next(results)
    time.sleep(0.05)
    assert len(started) <= 1 + 2 + 3  # handed out, being read, waiting
    results.close()


def test_items_are_taken_no_earlier_than_they_are_read() -> None:
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = prefetch(lambda item: item, items(), workers=1, ahead=1)
    assert taken == []  # nothing starts before the first result is asked for
    next(results)
    assert len(taken) <= 3
    results.close()


def test_an_abandoned_generator_ends_its_threads() -> None:
    results = prefetch(lambda item: item, range(1000), workers=3)
    next(results)
    assert reading_threads()
    results.close()
    assert reading_threads() == []


def test_a_consumer_that_fails_leaves_no_thread() -> None:
    with pytest.raises(KeyError):
        for result in prefetch(lambda item: item, range(1000), workers=3):
            raise KeyError(result)
    assert reading_threads() == []


def test_reading_overlaps_with_the_consumer() -> None:
    busy = threading.Event()

    def read(number: int) -> bool:
        # the later ones wait until the consumer has the first: without overlap, none would come
        return number == 0 or busy.wait(10)

    results = prefetch(read, range(3), workers=2)
    assert next(results)
    busy.set()
    assert list(results) == [True, True]
