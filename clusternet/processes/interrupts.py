"""Ctrl-C and its kind only ask; the work answers where nothing is half done.

Raised in the midst of anything, a KeyboardInterrupt may hit TensorFlow or a file being written.
So a signal sets a flag, loops look at it between their steps (`Interrupts.check`, which every
progress bar calls), and what they leave is complete. A second signal ends the process at once.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Protocol

from clusternet import limited_memory

STATUS = 130
"""Exit status of a command that was interrupted, by whatever signal."""
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # the last one on Windows only
    if hasattr(signal, name)
)
_ONE_REQUEST = 0.25  # seconds: timeout(1), terminals and service managers send several signals
_OWN_THREADS = ("tensorflow", "jax")  # libraries that may still compute while Python shuts down


class Flag(Protocol):
    """Tells whether another process was asked to stop."""

    def is_set(self) -> bool:
        """Return True once it was."""


class Interrupts:
    """What signals have asked of this process. Use the one that exists, `interrupts`."""

    def __init__(self) -> None:
        """Start with nothing asked for."""
        self._asked: float | None = None  # when the first signal came
        self._insisted = False  # a second one came, in a process that is not ours to end
        self._may_raise = False  # then, from anywhere
        self._is_listening = False
        self._owns_process = False
        self._stderr = 2
        self._parent: Flag | None = None
        self._lift_limit: Callable[[], None] = lambda: None
        self._last_acts: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @property
    def requested(self) -> bool:
        """True once a signal has asked this process, or the parent of a worker, to stop."""
        return self._asked is not None or (self._parent is not None and self._parent.is_set())

    @property
    def is_answering(self) -> bool:
        """True where `check` may raise: in the main thread, within a `listening` block."""
        return (
            self._is_listening or self._parent is not None
        ) and threading.current_thread() is threading.main_thread()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has asked to stop; in other threads do nothing."""
        if self.requested and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Let signals ask within the block; what ends it is a KeyboardInterrupt of `check`.

        Blocks may be nested. Outside the main thread, where Python delivers no signals, this does
        nothing. A signal that came too late for any `check` is answered at the end of the block.
        """
        if self._is_listening or threading.current_thread() is not threading.main_thread():
            yield
            return
        with self._lock:
            self._is_listening = True
        self._lift_limit()
        try:
            with ExitStack() as stack:
                if not self._owns_process:
                    stack.enter_context(self._installed())
                yield
            self.check()
        finally:
            with self._lock:
                self._is_listening = False
            if not self._owns_process:
                self._asked, self._insisted = None, False

    @contextmanager
    def before_end(self, act: Callable[[], None]) -> Iterator[None]:
        """Call ``act`` if a signal ends the process at once within the block.

        It is called in another thread, and must wait for nothing.
        """
        self._last_acts.append(act)
        try:
            yield
        finally:
            self._last_acts.remove(act)

    def own_process(self) -> None:
        """Answer signals from now on, as a script does; called once, before its long imports.

        Outside of `listening` blocks nothing is half done, and a signal ends the process at once.
        """
        if limited_memory.limit() is not None:
            self._limit_memory()
        self._owns_process = True
        with suppress(OSError):  # there may be no stderr
            self._stderr = os.dup(2)  # importing TensorFlow turns the other one off for a while
        self._install()

    def _limit_memory(self) -> None:
        if limited_memory.is_watched():
            self._lift_limit = limited_memory.limit_start()
            return
        with self._installed():  # a signal that comes to this process is for the child
            limited_memory.watch(lambda: self.requested, STATUS)

    def follow(self, parent: Flag) -> None:
        """Stop, as a worker process, when the parent does, and not by signals of its own."""
        self._parent = parent
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def leave(self, status: int = STATUS) -> None:
        """End a script here if threads of libraries might crash or hang at its ordinary end."""
        if self._owns_process and any(name in sys.modules for name in _OWN_THREADS):
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError, AttributeError):
                    stream.flush()
            os._exit(status)

    @contextmanager
    def _installed(self) -> Iterator[None]:
        undo = self._install()
        self._may_raise = True
        try:
            yield
        finally:
            self._may_raise = False
            undo()

    def _install(self) -> Callable[[], None]:
        """Take over the signals, but for those that are ignored (nohup); return what undoes it."""
        # The number of a signal reaches the pipe, and with it the thread, even while the main
        # thread is in a long call of a library, where Python's own handlers have to wait.
        reader, writer = os.pipe()
        if os.name != "nt":
            os.set_blocking(writer, False)
        thread = threading.Thread(target=self._watch, args=(reader,), name="signals", daemon=True)
        thread.start()
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        kept = {
            number: signal.signal(number, self._handle)
            for number in SIGNALS
            if signal.getsignal(number) not in (signal.SIG_IGN, None)
        }

        def undo() -> None:
            for number, handler in kept.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
            os.close(writer)
            thread.join()  # it has counted what came until now
            os.close(reader)

        return undo

    def _watch(self, reader: int) -> None:
        while os.read(reader, 1):
            with self._lock:
                self._count()

    def _count(self) -> None:
        now = time.monotonic()
        if self._asked is None and (self._is_listening or not self._owns_process):
            self._asked = now
        elif self._asked is None or now - self._asked > _ONE_REQUEST:
            if self._owns_process:
                self._end_at_once()
            if not self._insisted:
                self._insisted = True
                _wake_main_thread()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # The thread counts. Only a caller's process, such as a notebook, is interrupted anywhere,
        # if its user insists; and once, however many signals there were.
        if self._insisted and self._may_raise:
            self._may_raise = False
            signal.default_int_handler(number, frame)

    def _end_at_once(self) -> None:
        for act in reversed(self._last_acts):
            with suppress(OSError, ValueError):
                act()
        with suppress(OSError):
            os.write(self._stderr, b"interrupted.\n")
        os._exit(STATUS)


def _wake_main_thread() -> None:
    """Let Python call the handler in the main thread once more, also out of a sleep."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


interrupts = Interrupts()
"""The one of this process."""
