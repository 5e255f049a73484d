"""Signals such as Ctrl-C set a flag, and loops stop between two steps when it is set.

Python's own KeyboardInterrupt may be raised anywhere: inside TensorFlow, or while a file is
written. So a signal only sets a flag here. Loops look at the flag between their steps
(`Interrupts.check`, which every progress bar calls), so that all files they leave are complete.
A second signal ends the process at once.
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
    """The signals that this process has received. Use the one instance, `interrupts`."""

    def __init__(self) -> None:
        """Start without any signal."""
        self._asked: float | None = None  # time of the first signal
        self._insisted = False  # a second signal came, in a caller's process (such as a notebook)
        self._may_raise = False  # True if the handler may then raise KeyboardInterrupt anywhere
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
    def owns_process(self) -> bool:
        """True in a script, False in a caller's process, such as a notebook."""
        return self._owns_process

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
        """Let signals set the flag within the block, so that `check` raises KeyboardInterrupt.

        Blocks may be nested. Outside the main thread, where Python delivers no signals, this does
        nothing. A signal after the last `check` is answered at the end of the block.
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

        It is called in another thread. It must not wait for a lock, which the main thread may hold.
        """
        self._last_acts.append(act)
        try:
            yield
        finally:
            self._last_acts.remove(act)

    def own_process(self) -> None:
        """Handle the signals of a script from now on; called once, before its long imports.

        Outside of `listening` blocks no file is being written, so a signal ends the process at
        once.
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
        with self._installed():  # this process passes its signals on to the child
            limited_memory.watch(lambda: self.requested, STATUS)

    def follow(self, parent: Flag) -> None:
        """Stop, as a worker process, when the parent stops; ignore signals to the worker."""
        self._parent = parent
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def ignore(self) -> None:
        """Ignore signals from now on in a script whose work is done and told.

        While Python shuts down it takes its handlers away, and a signal would end the process as
        if it had failed.
        """
        if self._owns_process:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)

    def leave(self, status: int = STATUS) -> None:
        """End a script at once if threads of libraries might crash or hang when Python ends."""
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
        """Handle the signals, except ignored ones (nohup); return a function that undoes it."""
        # Python runs signal handlers in the main thread only, after a long call of a library has
        # returned. But it writes the number of a signal to the wakeup pipe at once, where a
        # thread of ours reads it.
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
            thread.join()  # it has then counted all signals in the pipe
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
                self.end_at_once("interrupted.", STATUS)
            if not self._insisted:
                self._insisted = True
                _wake_main_thread()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # The thread counts the signals. This handler raises only in a caller's process, such as a
        # notebook: after a second signal, and once, however many there were.
        if self._insisted and self._may_raise:
            self._may_raise = False
            signal.default_int_handler(number, frame)

    def end_at_once(self, line: str, status: int) -> None:
        """End a script from another thread, as its main thread may never answer; see `before_end`.

        Args:
            line: the last one on stderr.
            status: exit status.
        """
        for act in reversed(self._last_acts):
            with suppress(OSError, ValueError):
                act()
        with suppress(OSError):
            os.write(self._stderr, f"{line}\n".encode())
        os._exit(status)


def _wake_main_thread() -> None:
    """Let Python call the handler in the main thread once more, also out of a sleep."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


interrupts = Interrupts()
"""The only instance of this process."""
