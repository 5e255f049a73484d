"""Ctrl-C and SIGTERM held back while something is being saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def finish_first() -> Iterator[None]:
    """Let the block finish before Ctrl-C or SIGTERM takes effect.

    Outside the main thread, where Python delivers no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[tuple[int, FrameType | None]] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    kept = {number: signal.signal(number, lambda *call: waiting.append(call)) for number in signals}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0][0])
