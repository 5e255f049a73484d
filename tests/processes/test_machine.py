"""A job of a batch system, or a container, has a part of its machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from clusternet.processes import machine


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no affinity")
def test_cores_are_those_that_the_process_may_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert machine.usable_cores() == 2


def test_the_smallest_limit_of_the_group_and_those_above_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tmp_path / "groups/slurm/job_7"
    job.mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("3:cpu:/elsewhere\n0::/slurm/job_7\n")
    monkeypatch.setattr(machine, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "_OWN_GROUP", own)
    physical = machine.usable_memory()
    assert physical > 2**20
    (job / "memory.max").write_text("max\n")
    assert machine.usable_memory() == physical
    (job.parent / "memory.max").write_text("1000\n")
    assert machine.usable_memory() == 1000
    own.unlink()
    assert machine.usable_memory() == physical
