"""Locks of outputs: one process writes an output at a time, and leftovers of others are removed.

The lock of an output is a small file beside it that names its owner. The operating system holds
the lock (``flock``) until the owner ends, even if it is killed. Where the disk has no locks, the
process that the file names as its owner is looked up instead.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from clusternet.errors import OutputError
from clusternet.files.outputs import make_parent, readable_os_errors
from clusternet.files.placing import aside, fills_in_place, finish_filling, read_hidden, shortened
from clusternet.processes.interrupts import interrupts
from clusternet.processes.owners import Owner

try:
    import fcntl
except ImportError:  # Windows: an open file cannot be deleted there, which is as good as a lock
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_ENDING = ".clusternet-lock"
_A_DAY = 86_400  # seconds


def lock_path(output: Path) -> Path:
    """Return the path of the lock of an output, a hidden file that `OutputLock.release` deletes.

    It lies beside the output, or inside a folder that can only be filled (see `fills_in_place`).
    """
    real = Path(os.path.realpath(output))
    return (real if fills_in_place(real) else real.parent) / f".{shortened(real.name)}{_ENDING}"


@dataclass(frozen=True)
class _Note:
    """The content of a lock file."""

    owner: Owner
    host: str
    since: str
    where: str = ""

    @classmethod
    def read(cls, stream: IO[bytes]) -> _Note | None:
        """Return the content of a lock file; None if ClusterNet did not write it."""
        stream.seek(0)
        try:
            values = json.loads(stream.read())
            owner = Owner.parse(str(values["owner"]))
            texts = {name: str(values[name]) for name in ("host", "since", "where")}
        except (ValueError, KeyError, TypeError):
            return None
        return None if owner is None else cls(owner, **texts)

    def write(self, stream: IO[bytes]) -> None:
        values: dict[str, Any] = {"owner": self.owner.token, "pid": self.owner.pid}
        values |= {"host": self.host, "since": self.since, "where": self.where}
        stream.seek(0)
        stream.truncate()
        stream.write(json.dumps(values, indent=1).encode() + b"\n")
        stream.flush()

    def __str__(self) -> str:
        where = f", at {self.where}" if self.where else ""
        return f"process {self.owner.pid} on {self.host} since {self.since}{where}"


class OutputLock:
    """Reserves an output for this process until `release`, or until the process ends."""

    def __init__(self, path: Path, output: Path, advice: str = "") -> None:
        """Take the lock.

        Args:
            path: the lock file, see `lock_path`.
            output: the output that it locks, for messages.
            advice: what users can do while another process has the lock, for messages.

        Raises:
            OutputError: if another process has the lock, or the file cannot be written.
        """
        self._path, self._output = path, output
        self._advice = advice or "wait until it has ended, or choose another output"
        self._made = [folder for folder in path.parents if not folder.exists()]
        make_parent(path, output)
        with readable_os_errors(output):
            self._stream: IO[bytes] | None = self._take()
        self._note = _Note(Owner.this(), socket.gethostname(), time.strftime("%Y-%m-%d %H:%M:%S"))
        with readable_os_errors(output):
            self._note.write(self._stream)

    def _take(self) -> IO[bytes]:
        while True:
            stream = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
            try:
                is_locked = self._lock(stream)
                # The owner may delete the file between our open and our flock. Then we hold the
                # lock of a file without a name, which protects nothing.
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(stream.fileno()), self._path.stat()):
                        self._check(_Note.read(stream), is_locked)
                        return stream
            except BaseException:
                stream.close()
                raise
            stream.close()  # its owner released and deleted it meanwhile; make a new one

    def _lock(self, stream: IO[bytes]) -> bool:
        """Lock an open file; False where the disk cannot, OutputError if another has it."""
        if fcntl is None:
            return False
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._in_use(_Note.read(stream)) from None
        except OSError:  # a network disk without locks
            return False
        return True

    def _check(self, former: _Note | None, is_locked: bool) -> None:
        """Refuse a lock whose former owner may still run on another machine or in a container."""
        if former is None or former.owner.is_gone():
            return
        if is_locked and former.owner.shares_kernel:
            return  # this machine's system gave us the lock, so the former owner has ended
        raise self._in_use(former, f", or delete {self._path} if that process has ended")

    def _in_use(self, note: _Note | None, more: str = "") -> OutputError:
        who = f" ({note})" if note else ""
        return OutputError(
            f"{self._output}: is being written by another process{who}; {self._advice}{more}."
        )

    def tell(self, where: str) -> None:
        """Write into the lock where its owner can be reached, for the message to other users."""
        if self._stream is not None:
            with readable_os_errors(self._output):
                _Note(self._note.owner, self._note.host, self._note.since, where).write(
                    self._stream
                )

    def release(self) -> None:
        """Let other processes have the output; calling it again does nothing."""
        if self._stream is not None:
            with suppress(OSError):
                if os.path.samestat(os.fstat(self._stream.fileno()), self._path.stat()):
                    self._path.unlink()
            self._stream.close()
            self._stream = None
            for folder in self._made:  # fails, as it should, if files were written into it
                with suppress(OSError):
                    folder.rmdir()


@contextmanager
def claimed(*outputs: Path | None) -> Iterator[None]:
    """Lock outputs until the block ends; None among them is left out.

    First, hidden files that killed processes left beside the outputs are removed. An output that
    such a process had moved aside is put back.

    Raises:
        OutputError: if another process has one, or it cannot be written.
    """
    with ExitStack() as stack:
        for output in outputs:
            if output is not None:
                lock = OutputLock(lock_path(output), output)
                stack.callback(lock.release)
                stack.enter_context(interrupts.before_end(lock.release))
                with readable_os_errors(output):
                    tidy(Path(os.path.realpath(output)))
        yield


def is_held(path: Path) -> bool:
    """Tell whether a lock exists and its owner may be alive."""
    if not path.exists():
        return False
    try:
        OutputLock(path, path).release()
    except OutputError:
        return True
    return False


def tidy(output: Path, has_ended: Callable[[Path], bool] = lambda _: False) -> None:
    """Remove the hidden files that killed processes left of an output that this one has locked.

    Args:
        output: the output.
        has_ended: tells for a hidden file inside the output whether it is known that its process
            has ended, also on another machine.
    """
    beside = {entry: read_hidden(entry) for entry in output.parent.iterdir()}
    # While a replacement still has its hidden name, the output that it replaces is needed.
    needed = {aside(entry) for entry, hidden in beside.items() if hidden and hidden[0] == "part"}
    for entry, hidden in beside.items():
        if hidden is None:
            continue
        kind, owner, name = hidden
        is_of_output = name == shortened(output.name)
        if kind == "old" and is_of_output:
            _put_back(entry, output, is_needed=entry in needed)
        elif kind != "old" and (is_of_output or _is_abandoned(entry, owner)):
            _remove(entry)
    if output.is_dir():
        tidy_inside(output, has_ended)


def _put_back(old: Path, output: Path, *, is_needed: bool) -> None:
    """Put an output back that was moved aside, unless its replacement has taken its name."""
    if not is_needed and os.path.lexists(output):
        _remove(old)
        return
    if os.path.lexists(output):  # another program wrote it meanwhile
        logger.warning("%s: is an earlier %s; delete it when it is not needed.", old, output)
        return
    old.rename(output)
    logger.warning("%s: put back; a command that replaced it was killed.", output)


def tidy_inside(folder: Path, has_ended: Callable[[Path], bool] = lambda _: False) -> None:
    """Remove hidden files of killed processes in a folder; finish moving files up into it."""
    for above, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            entry = Path(above, name)
            hidden = read_hidden(entry)
            if hidden is None or not (has_ended(entry) or _is_abandoned(entry, hidden[1])):
                continue
            if hidden[0] == "move" and entry.parent == folder:
                finish_filling(entry, folder)
            elif hidden[0] in ("part", "probe"):
                _remove(entry)
        folders[:] = [name for name in folders if not name.startswith(".")]


def _is_abandoned(entry: Path, owner: Owner) -> bool:
    """Tell whether the owner of a hidden file has ended; if that cannot be told, by its age."""
    gone = owner.is_gone()
    return time.time() - entry.lstat().st_mtime > _A_DAY if gone is None else gone


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        with suppress(OSError):
            entry.unlink()
