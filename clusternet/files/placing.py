"""How outputs get their names: written under a hidden name, synced to the disk, then renamed."""

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
_OF_FILE_MANAGERS = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""Files that file managers make in every folder that they show."""
_NAME_BYTES = 255 - 75  # of the longest file name (255 bytes) the hidden prefix takes up to 75
_MANY_FILES = 32  # from this number of files on, one call syncs the whole disk
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2 (Linux), RENAME_SWAP of renamex_np (macOS)


def hidden_sibling(output: Path, kind: str = "part") -> Path:
    """Return a hidden path beside ``output`` that no other process, container or machine uses.

    The name of the output stays last, because several libraries choose the format by its ending.
    """
    start = f".{kind}-{Owner.this().token}-{secrets.token_hex(3)}."
    return output.with_name(start + shortened(output.name))


def without_hiding(text: str) -> str:
    """Return a message without the hidden prefixes of the file names in it."""
    return _PREFIX.sub("", text)


def shortened(name: str) -> str:
    """Return a file name, or its hash and end if the hidden prefix would make it too long."""
    whole = os.fsencode(name)
    if len(whole) <= _NAME_BYTES:
        return name
    end = whole[16 - _NAME_BYTES :].decode(errors="ignore")
    return hashlib.sha256(whole).hexdigest()[:16] + end


def read_hidden(path: Path) -> tuple[str, Owner, str] | None:
    """Return (kind, owner, name of the output) of a hidden file; None for other files."""
    match = _HIDDEN.fullmatch(path.name)
    owner = Owner.parse(match[2]) if match else None
    return None if match is None or owner is None else (match[1], owner, match[3])


def sync_file(path: Path) -> None:
    """Return once the content of a file is on the disk."""
    _sync(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Return once the names in a folder are on the disk; Windows cannot sync folders."""
    if sys.platform != "win32":
        with suppress(PermissionError):  # a folder may be written and not read
            _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    stream = os.open(path, flags)
    try:
        os.fsync(stream)
    except OSError as error:
        # some network disks cannot sync
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
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
    """Sync the whole disk that ``path`` lies on; False where the system has no such call."""
    # One syncfs is much faster than an fsync of each file, which waits for the disk every time.
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
    """Exchange two names in one atomic step; False where the system or the disk cannot."""
    if os.name != "posix":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):
        at_cwd = -100  # AT_FDCWD: relative names start at the working directory
        failed = library.renameat2(at_cwd, names[0], at_cwd, names[1], _EXCHANGE)
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


def aside(hidden_path: Path) -> Path:
    """Return the hidden name of a replaced output until ``hidden_path`` has taken its name."""
    return hidden_path.with_name(hidden_path.name.replace(".part-", ".old-", 1))


def put_folder(hidden_path: Path, output: Path) -> None:
    """Rename a finished folder to its name; a folder that had that name is removed after."""
    if not output.exists() or not any(output.iterdir()):
        with suppress(FileNotFoundError):
            output.rmdir()
        hidden_path.rename(output)
    elif exchange(hidden_path, output):
        shutil.rmtree(hidden_path, ignore_errors=True)
    else:
        old = aside(hidden_path)
        output.rename(old)
        hidden_path.rename(output)
        sync_folder(output.parent)
        shutil.rmtree(old, ignore_errors=True)
    sync_folder(output.parent)


def is_mount(path: Path) -> bool:
    """Tell whether something is mounted at ``path``, a folder of the same disk included."""
    # ismount compares the devices of a folder and its parent, so it misses bind mounts of one
    # disk, which containers use. /proc/self/mountinfo lists them.
    if os.path.ismount(path):
        return True
    try:
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return False
    # it writes spaces and other separators as octal escapes: \040
    mount_points = (re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split()[4])
                    for line in text.splitlines())  # fmt: skip
    return str(path) in mount_points


def fills_in_place(folder: Path) -> bool:
    """Tell whether a folder can be filled but not replaced: mounted, or in a read-only folder."""
    return folder.is_dir() and (is_mount(folder) or not os.access(folder.parent, os.W_OK | os.X_OK))


def own_entries(folder: Path) -> Iterator[Path]:
    """Yield the entries of a folder, without our hidden files and locks, and ``lost+found``."""
    for entry in folder.iterdir():
        if entry.name == "lost+found" and is_mount(folder):
            continue
        if read_hidden(entry) is None and not is_lock(entry.name):
            yield entry


def is_lock(name: str) -> bool:
    """Tell whether a file name is that of a lock."""
    return name.startswith(".") and name.endswith(".clusternet-lock")


def fill(hidden_path: Path, output: Path) -> None:
    """Move the content of a finished hidden folder inside ``output`` up into it.

    The hidden folder is first renamed to a name of the kind ``move``. After a crash,
    `finish_filling` recognises that name and moves the rest.
    """
    moving = hidden_sibling(output / output.name, "move")
    hidden_path.rename(moving)
    finish_filling(moving, output)


def finish_filling(moving: Path, output: Path) -> None:
    """Move the content that is left in the hidden folder ``moving`` up into ``output``."""
    for entry in moving.iterdir():
        entry.rename(output / entry.name)
    moving.rmdir()
    sync_folder(output)


def hand_on(old: Path, new: Path, is_made: Callable[[str], bool]) -> None:
    """Link into a new folder the files of the old one that ClusterNet did not write.

    Links leave the old folder complete, should the command fail before the new one is in place.

    Raises:
        OutputError: if such a file has the name of a new one.
    """
    kept = [
        path
        for path in _files_below(old)
        if path.name not in _OF_FILE_MANAGERS and not is_made(path.as_posix())
    ]
    for path in kept:
        try:
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            _link(old / path, new / path)
        except (FileExistsError, NotADirectoryError):
            raise OutputError(
                f"{old / path}: is not of ClusterNet, and in the way of a new file; move it away."
            ) from None
    if kept:
        shown = ", ".join(path.as_posix() for path in kept[:_SHOWN])
        more = f" and {len(kept) - _SHOWN} more" if len(kept) > _SHOWN else ""
        logger.warning("%s: kept %s%s, which ClusterNet did not write.", old, shown, more)


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the files, links and empty folders below a folder, relative to it."""

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
    """Make a hard link to a file, or copy it where the disk has no hard links."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)
