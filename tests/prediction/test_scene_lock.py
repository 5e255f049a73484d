"""Two servers on one scene: the second one is refused, and a crash leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from interactive_scene import fill_cache_with_colours, make_run, make_scene

from clusternet.errors import OutputError
from clusternet.interactive.session import Session
from clusternet.interactive.workspace import Workspace
from clusternet.prediction.scene_lock import lock_scene

HOLDER = """
import sys, time
from pathlib import Path
from clusternet.prediction.scene_lock import lock_scene
lock = lock_scene(Path(sys.argv[1]))
lock.tell("http://127.0.0.1:1234")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """A process that holds the lock of ``tmp_path``."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE,
                               text=True, cwd=ROOT)  # fmt: skip
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_scene_held_by_another_process_is_refused_with_its_address(tmp_path, holder):
    with pytest.raises(OutputError, match=r"another process .*at http://127\.0\.0\.1:1234\); draw"):
        lock_scene(tmp_path)


def test_lock_of_a_killed_process_is_taken_over(tmp_path, holder):
    holder.kill()
    holder.wait()
    lock = lock_scene(tmp_path)
    with pytest.raises(OutputError, match=r"since [0-9: -]+\); draw"):  # no stale address
        lock_scene(tmp_path)
    lock.release()


def test_released_lock_can_be_taken_again_and_leaves_nothing(tmp_path):
    lock = lock_scene(tmp_path)
    lock.tell("http://127.0.0.1:1")
    lock.release()
    lock.release()
    lock_scene(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_others_gets_no_lock(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(OutputError, match=r"no folder of a scene's features that ClusterNet wrote"):
        lock_scene(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_second_workspace_of_a_scene_is_refused_until_the_first_stops(tmp_path):
    raster, run = make_scene(tmp_path), make_run(tmp_path)
    fill_cache_with_colours(run, raster)
    first = Workspace(run, raster)
    first.change(Session.add_class)
    with pytest.raises(OutputError, match="another process"):
        Workspace(run, raster)
    elsewhere = Workspace(run, raster, cache_folder=tmp_path / "other")
    elsewhere.stop()
    first.stop()
    again = Workspace(run, raster)
    assert len(again.drawing.classes) == 3
    again.stop()
