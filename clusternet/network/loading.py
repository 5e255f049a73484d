"""Load Keras and its backend late: it takes seconds, and inputs are looked at before that."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache

from clusternet.process_setup import quiet_stderr
from clusternet.processes.interrupts import interrupts

_FOR_OTHERS = ("sklearn", "matplotlib")
"""What Keras loads, if it is installed, for wrappers and plots that ClusterNet does not use. They
are a third of the time that Keras and TensorFlow take to load."""


@cache
def load_network_library() -> None:
    """Load Keras and its backend without the messages that they print while loading.

    In a process of our own Keras does without its wrappers for scikit-learn and its plots. In a
    caller's process, such as a notebook, it is whole.
    """
    with quiet_stderr(), left_out(_FOR_OTHERS) if interrupts.owns_process else nullcontext():
        from clusternet.network.backend import start_runtime

        start_runtime()


@contextmanager
def left_out(names: Sequence[str]) -> Iterator[None]:
    """Let imports of these libraries fail within the block, as if they were not installed.

    Libraries that are loaded already stay as they are.
    """
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # makes an import fail
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
