"""Outputs that one process writes at a time, and what those that were killed left behind.

The lock of an output is a small file beside it that names its owner. The system keeps it locked
as long as the process lives, in whatever way that ends; where the disk knows no locks, the owner
named in it is looked for.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator
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
except ImportError:  # Windows, where a file that is open cannot be deleted: as good as a lock
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_ENDING = ".clusternet-lock"
_A_DAY = 86_400  # seconds


def lock_path(output: Path) -> Path:
    """Return where the lock of an output lies: beside it, or in a folder that can only be filled.

    It is hidden, and goes when it is released.
    """
    place = Path(os.path.realpath(output))
    return (place if fills_in_place(place) else place.parent) / f".{shortened(place.name)}{_ENDING}"


@dataclass(frozen=True)
class _Note:
    """What a lock says."""

    owner: Owner
    host: str
    since: str
    where: str = ""

    @classmethod
    def read(cls, stream: IO[bytes]) -> _Note | None:
        """Return what stands in a lock; None if it is nothing of ours."""
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
    """Keeps an output for this process until it is released, or the process ends."""

    def __init__(self, path: Path, output: Path, advice: str = "") -> None:
        """Take the lock.

        Args:
            path: the lock, see `lock_path`.
            output: what it is of, for messages.
            advice: what to do while another process has it.

        Raises:
            OutputError: if another process has it, or it cannot be made.
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
                known = self._lock(stream)
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(stream.fileno()), self._path.stat()):
                        self._check(_Note.read(stream), known)
                        return stream
            except BaseException:
                stream.close()
                raise
            stream.close()  # its owner released it meanwhile

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
        """Refuse a lock whose former owner may be alive where we cannot see it."""
        if former is None or former.owner.is_gone():
            return
        if is_locked and former.owner.shares_kernel:
            return  # the system has let go of it
        raise self._in_use(former, f", or delete {self._path} if that process has ended")

    def _in_use(self, note: _Note | None, more: str = "") -> OutputError:
        who = f" ({note})" if note else ""
        return OutputError(
            f"{self._output}: is being written by another process{who}; {self._advice}{more}."
        )

    def tell(self, where: str) -> None:
        """Leave word of where the owner can be reached, for whoever is refused."""
        if self._stream is not None:
            with readable_os_errors(self._output):
                _Note(self._note.owner, self._note.host, self._note.since, where).write(
                    self._stream
                )

    def release(self) -> None:
        """Let others have the output; more than once does no harm."""
        if self._stream is not None:
            with suppress(OSError):
                if os.path.samestat(os.fstat(self._stream.fileno()), self._path.stat()):
                    self._path.unlink()
            self._stream.close()
            self._stream = None
            for folder in self._made:  # nothing was written into them
                with suppress(OSError):
                    folder.rmdir()


@contextmanager
def claimed(*outputs: Path | None) -> Iterator[None]:
    """Keep outputs for this process until the block ends; None among them is left out.

    What processes that are gone left of them is cleared away first, and an output that one of
    them had moved aside is put back.

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


def tidy(place: Path) -> None:
    """Remove what killed processes left of an output that is locked by this one."""
    beside = {entry: read_hidden(entry) for entry in place.parent.iterdir()}
    unplaced = {aside(entry) for entry, found in beside.items() if found and found[0] == "part"}
    for entry, found in beside.items():
        if found is None:
            continue
        what, owner, name = found
        is_of_it = name == shortened(place.name)
        if what == "old" and is_of_it:
            _put_back(entry, place, is_needed=entry in unplaced)
        elif what != "old" and (is_of_it or _is_abandoned(entry, owner)):
            _remove(entry)
    if place.is_dir():
        tidy_inside(place)


def _put_back(old: Path, place: Path, *, is_needed: bool) -> None:
    """Put an output back that was moved aside, unless the one that replaces it has its place."""
    if not is_needed and os.path.lexists(place):
        _remove(old)
        return
    if os.path.lexists(place):  # made by others, meanwhile
        logger.warning("%s: is an earlier %s; delete it when it is not needed.", old, place)
        return
    old.rename(place)
    logger.warning("%s: put back; a command that replaced it was killed.", place)


def tidy_inside(folder: Path) -> None:
    """Remove what killed processes left in a folder, and finish what one began to fill it with."""
    for above, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            entry = Path(above, name)
            found = read_hidden(entry)
            if found is None or not _is_abandoned(entry, found[1]):
                continue
            if found[0] == "move" and entry.parent == folder:
                finish_filling(entry, folder)
            elif found[0] in ("part", "probe"):
                _remove(entry)
        folders[:] = [name for name in folders if not name.startswith(".")]


def _is_abandoned(entry: Path, owner: Owner) -> bool:
    """Tell whether nobody writes a hidden file any more; of other machines, by its age."""
    gone = owner.is_gone()
    return time.time() - entry.lstat().st_mtime > _A_DAY if gone is None else gone


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        with suppress(OSError):
            entry.unlink()
