"""Work spread over processes comes back whole."""

from __future__ import annotations

import os
import time

import pytest
import rasterio
import rasterio.shutil

from clusternet.errors import ClusterNetError, RasterError, WorkerError
from clusternet.processes.machine import usable_cores
from clusternet.processes.workers import call_in_process, map_unordered, resolve_workers


def square(value: int) -> int:
    return value * value


def fail(value: int) -> int:
    raise RasterError(f"{value}: is damaged.")


def fail_as_gdal_does(value: int) -> int:
    with rasterio.Env():
        rasterio.shutil.copy(f"{value}.tif", "copy.tif")
    return value


def end_at_once(value: int) -> int:
    os._exit(9)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_comes_back_with_its_place(workers):
    items = [3, 5, 7, 9]
    assert sorted(map_unordered(square, items, workers)) == [(0, 9), (1, 25), (2, 49), (3, 81)]


def test_a_users_mistake_is_raised_as_it_was():
    with pytest.raises(RasterError, match="4: is damaged"):
        list(map_unordered(fail, [4, 4], 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_that_cannot_travel_comes_back_as_one_line(workers):
    with pytest.raises(ClusterNetError, match=r"\(GDAL: 4.tif: No such file or directory\)"):
        list(map_unordered(fail_as_gdal_does, [4, 4], workers))


def test_a_worker_that_is_ended_is_one_clear_line():
    with pytest.raises(ClusterNetError, match=r"ended from outside .*--workers 1"):
        list(map_unordered(end_at_once, [4, 4], 2))


def test_nothing_to_do_gives_nothing():
    assert list(map_unordered(square, [], 4)) == []


def test_all_cores_work_unless_the_user_says_otherwise():
    assert resolve_workers(None) == usable_cores()
    assert resolve_workers(3) == 3


def own_process(value: int) -> tuple[int, int]:
    return os.getpid(), value


def test_a_call_in_a_process_of_its_own_comes_back_or_fails_as_here():
    process, value = call_in_process(own_process, 7)
    assert value == 7 and process != os.getpid()
    with pytest.raises(RasterError, match="4: is damaged"):
        call_in_process(fail, 4)
    with pytest.raises(WorkerError, match="ended from outside"):
        call_in_process(end_at_once, 4)


def test_a_call_in_a_process_ends_when_it_is_no_longer_wanted():
    end = time.monotonic() + 0.2
    with pytest.raises(WorkerError, match="interrupted"):
        call_in_process(time.sleep, 60, lambda: time.monotonic() > end)
    assert time.monotonic() - end < 30
