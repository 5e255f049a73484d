"""How outputs get their names: hidden first, put on the disk, and then in place at once."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import logging
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from clusternet.errors import OutputError
from clusternet.processes.owners import Owner

logger = logging.getLogger(__name__)

_HIDDEN = re.compile(r"\.(part|old|move|probe)-([0-9a-f]{18}-\d+-\d+)-[0-9a-f]{6}\.(.+)", re.S)
_PREFIX = re.compile(r"\.(part|old|move|probe)-[0-9a-f]{18}-\d+-\d+-[0-9a-f]{6}\.")
_SHOWN = 3  # names of what was kept, in a message
_NOBODYS = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""What file managers leave behind in every folder that is looked at."""
_ROOM = 255 - 75  # bytes that are left of the longest file name
_MANY_FILES = 32  # from here on the disk is asked once for all
_EXCHANGE = 2  # of renameat2 and renamex_np alike


def hidden_sibling(place: Path, what: str = "part") -> Path:
    """Return a name beside ``place`` that no other process, container or machine has.

    The name stays last, because several libraries choose the format by its ending.
    """
    start = f".{what}-{Owner.this().token}-{secrets.token_hex(3)}."
    return place.with_name(start + shortened(place.name))


def without_hiding(text: str) -> str:
    """Return a text in which files are called as they will be."""
    return _PREFIX.sub("", text)


def shortened(name: str) -> str:
    """Return a file name, or one as good for it that there is room for behind what hides it."""
    whole = os.fsencode(name)
    if len(whole) <= _ROOM:
        return name
    return hashlib.sha256(whole).hexdigest()[:16] + whole[16 - _ROOM :].decode(errors="ignore")


def read_hidden(path: Path) -> tuple[str, Owner, str] | None:
    """Return what a hidden file is, whose, and of which name; None if it is none of these."""
    found = _HIDDEN.fullmatch(path.name)
    owner = Owner.parse(found[2]) if found else None
    return None if found is None or owner is None else (found[1], owner, found[3])


def sync_file(path: Path) -> None:
    """Return once the content of a file is on the disk."""
    _sync(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Return once the names in a folder are on the disk; not all systems can say so."""
    if sys.platform != "win32":
        with suppress(PermissionError):  # a folder may be written and not read
            _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    stream = os.open(path, flags)
    try:
        os.fsync(stream)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):  # as of network disks
            raise
    finally:
        os.close(stream)


def sync_tree(folder: Path) -> None:
    """Return once all files in a folder are on the disk."""
    files, folders = [], [folder]
    for above, inner, names in os.walk(folder):
        files += [Path(above, name) for name in names]
        folders += [Path(above, name) for name in inner]
    if len(files) > _MANY_FILES and _sync_disk(folder):
        return
    for path in files:
        if not path.is_symlink():
            sync_file(path)
    for path in folders:
        if not path.is_symlink():
            sync_folder(path)


def _sync_disk(path: Path) -> bool:
    """Put everything on the disk that ``path`` lies on; False where there is no such call."""
    call = (
        getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if os.name == "posix" else None
    )
    if call is None:
        return False
    stream = os.open(path, os.O_RDONLY)
    try:
        if call(stream):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(stream)
    return True


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names at once; False where the system or the disk cannot."""
    if os.name != "posix":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):
        here = -100  # names are taken from the working directory on
        failed = library.renameat2(here, names[0], here, names[1], _EXCHANGE)
    elif hasattr(library, "renamex_np"):
        failed = library.renamex_np(*names, _EXCHANGE)
    else:
        return False
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def aside(part: Path) -> Path:
    """Return where what ``part`` replaces waits until ``part`` has its name."""
    return part.with_name(part.name.replace(".part-", ".old-", 1))


def put_folder(part: Path, place: Path) -> None:
    """Give a finished folder its name; what was there is removed once it is."""
    if not place.exists() or not any(place.iterdir()):
        with suppress(FileNotFoundError):
            place.rmdir()
        part.rename(place)
    elif exchange(part, place):
        shutil.rmtree(part, ignore_errors=True)
    else:
        old = aside(part)
        place.rename(old)
        part.rename(place)
        sync_folder(place.parent)
        shutil.rmtree(old, ignore_errors=True)
    sync_folder(place.parent)


def is_mount(path: Path) -> bool:
    """Tell whether something is mounted at ``path``, a folder of the same disk included."""
    if os.path.ismount(path):
        return True
    try:
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return False
    places = (re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split()[4])
              for line in text.splitlines())  # fmt: skip
    return str(path) in places


def fills_in_place(place: Path) -> bool:
    """Tell whether a folder can only be filled, and neither made nor replaced."""
    return place.is_dir() and (is_mount(place) or not os.access(place.parent, os.W_OK | os.X_OK))


def own_entries(folder: Path) -> Iterator[Path]:
    """Yield what a folder holds, without what is hidden by us or belongs to the disk."""
    for entry in folder.iterdir():
        if entry.name == "lost+found" and is_mount(folder):
            continue
        if read_hidden(entry) is None and not is_lock(entry.name):
            yield entry


def is_lock(name: str) -> bool:
    """Tell whether a file name is that of a lock."""
    return name.startswith(".") and name.endswith(".clusternet-lock")


def fill(part: Path, place: Path) -> None:
    """Move what is in a finished folder inside ``place`` up into it.

    Once the folder is called so, `finish_filling` can go on with it after a crash.
    """
    moving = hidden_sibling(place / place.name, "move")
    part.rename(moving)
    finish_filling(moving, place)


def finish_filling(moving: Path, place: Path) -> None:
    """Move the rest of a finished folder up into ``place``."""
    for entry in moving.iterdir():
        entry.rename(place / entry.name)
    moving.rmdir()
    sync_folder(place)


def hand_on(old: Path, new: Path, is_made: Callable[[str], bool]) -> None:
    """Bring into a new folder what is in the old one and not ours: as links, so nothing moves.

    Raises:
        OutputError: if a name of it is needed for something of ours.
    """
    kept = [
        place
        for place in _files_below(old)
        if place.name not in _NOBODYS and not is_made(place.as_posix())
    ]
    for place in kept:
        try:
            (new / place).parent.mkdir(parents=True, exist_ok=True)
            _link(old / place, new / place)
        except (FileExistsError, NotADirectoryError):
            raise OutputError(
                f"{old / place}: is not of ClusterNet, and in the way of a new file; move it away."
            ) from None
    if kept:
        shown = ", ".join(place.as_posix() for place in kept[:_SHOWN])
        more = f" and {len(kept) - _SHOWN} more" if len(kept) > _SHOWN else ""
        logger.warning("%s: kept %s%s, which ClusterNet did not write.", old, shown, more)


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, relative to it; links as they are, empty folders too."""

    def fail(error: OSError) -> None:
        raise error

    for above, folders, files in os.walk(folder, onerror=fail):
        here = Path(above)
        linked = [name for name in folders if (here / name).is_symlink()]
        if not folders and not files and here != folder:
            yield here.relative_to(folder)
        for name in sorted([*files, *linked]):
            yield (here / name).relative_to(folder)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the disk knows no such thing."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)
