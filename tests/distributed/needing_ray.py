"""What tests of a cluster share: their marks, and where its workers find pieces of work."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NEEDS_RAY = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    # Ray never waits for the processes that it has ended
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@contextmanager
def pieces_found() -> Iterator[None]:
    """Let the workers of clusters that start in the block import the modules of this folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE))
        patch.setenv("RAY_ADDRESS", "127.0.0.1:9")  # of no cluster: ours is another one
        yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
