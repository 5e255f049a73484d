"""A lock for each scene: two processes would overwrite each other's strokes and features."""

from __future__ import annotations

from pathlib import Path

from clusternet.files.locks import OutputLock, tidy_inside
from clusternet.files.outputs import check_new
from clusternet.prediction.feature_cache import FEATURES
from clusternet.training.run_files import PAGE_LOCK

_ADVICE = "draw there (several pages may be open), or end it first"


def lock_scene(folder: Path) -> OutputLock:
    """Lock the folder of a scene for this process until the lock is released.

    Raises:
        OutputError: if ClusterNet did not make the folder, it cannot be written, or another
            process works on the scene.
    """
    check_new(folder, kind=FEATURES, overwrite=True)  # before the lock goes into it
    lock = OutputLock(folder / PAGE_LOCK, folder, _ADVICE)
    tidy_inside(folder)
    return lock
