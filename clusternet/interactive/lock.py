"""One server for each scene: two would save over each other's strokes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from clusternet.errors import OutputError
from clusternet.files import make_parent, new_file

LOCK, ADDRESS = "in_use.lock", "in_use.txt"


class SceneLock:
    """Keeps the folder of a scene for this process until it ends, in whatever way it ends.

    The lock is that of an empty SQLite database: the system drops it with the process, so a
    crash leaves nothing to clear away, and it works on every platform.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            OutputError: if another server works on the scene, or the folder cannot be locked.
        """
        self._address = folder / ADDRESS
        make_parent(folder / LOCK)
        try:
            self._database = sqlite3.connect(
                folder / LOCK, timeout=0, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise _not_lockable(folder, error) from error
        try:
            self._database.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            self._database.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise OutputError(
                    f"{folder}: another server works on this scene{self._where()}; draw there "
                    "(several pages may be open), or end it first."
                ) from error
            raise _not_lockable(folder, error) from error
        self._is_held = True
        self._address.unlink(missing_ok=True)  # of one that crashed

    def tell(self, address: str) -> None:
        """Leave word of where the page is, for whoever is refused."""
        with new_file(self._address, overwrite=True) as part:
            part.write_text(f"{address}\n", encoding="utf-8")

    def release(self) -> None:
        """Let others have the scene; more than once does no harm."""
        if self._is_held:
            self._is_held = False
            self._address.unlink(missing_ok=True)
            self._database.close()

    def _where(self) -> str:
        try:
            return f", at {self._address.read_text(encoding='utf-8').strip()}"
        except OSError:
            return ""


def _not_lockable(folder: Path, error: sqlite3.Error) -> OutputError:
    return OutputError(
        f"{folder}: cannot be kept for one server ({error}); name another place with "
        "--cache_folder."
    )
