"""Load Keras and its backend late: it takes seconds, and inputs are looked at before that."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache

from clusternet.network.late_modules import LateModules
from clusternet.process_setup import quiet_stderr
from clusternet.processes.interrupts import interrupts
from clusternet.processes.phases import phases

_FOR_OTHERS = ("sklearn", "matplotlib", "pandas", "requests")
"""What Keras loads, if it is installed, for wrappers, plots, tables and callbacks that ClusterNet
does not use. They take as long to load as Keras itself."""
_LATE = ("tensorflow._api.v2",)
"""The public interface of TensorFlow, of which Keras uses a small part."""


@cache
@phases.during("start")
def load_network_library() -> None:
    """Load Keras and its backend without the messages that they print while loading.

    In a process of our own Keras does without what `_FOR_OTHERS` names, and parts of TensorFlow
    load when they are first used. In a caller's process, such as a notebook, both are whole.
    """
    from clusternet.raster.first_libraries import bind_vector_library  # it loads GDAL

    bind_vector_library()
    with ExitStack() as stack:
        stack.enter_context(quiet_stderr())
        if interrupts.owns_process:
            stack.enter_context(left_out(_FOR_OTHERS))
            stack.enter_context(without_collection())
            stack.enter_context(bound_late())
            sys.meta_path.insert(0, LateModules(_LATE))
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


@contextmanager
def without_collection() -> Iterator[None]:
    """Look for no garbage within the block, and never among what it leaves.

    Modules stay, so that all passes through hundred thousands of their objects are in vain.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextmanager
def bound_late() -> Iterator[None]:
    """Look up functions of shared libraries that are loaded within the block when they are called.

    TensorFlow's refer to 150,000 functions, of which few are called.
    """
    if not hasattr(sys, "setdlopenflags"):  # Windows
        yield
        return
    kept = sys.getdlopenflags()
    sys.setdlopenflags(kept & ~os.RTLD_NOW | os.RTLD_LAZY)
    try:
        yield
    finally:
        sys.setdlopenflags(kept)
