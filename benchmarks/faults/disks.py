"""Disks that are full, files that may not be read or written, links, mounts, two at a time."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faults.calls import Outcome, call, script_path, warm_up
from faults.material import TRAINING
from faults.outcomes import Part
from faults.recording import Recorder
from faults.trees import differences, essence, is_hidden

_NOT_HERE = 77  # exit status of unprivileged.py
Words = tuple[object, ...]


def commands(given: Path, out: Path) -> dict[str, Words]:
    """Return each command that writes, with outputs below ``out``."""
    return {
        "main.py": ("main", given / "patches", "--output", out / "run", "--num_epochs", 1,
                    *TRAINING),
        "patch_generator.py": ("patch_generator", given / "images", "--output_folder", out / "p",
                               "--patch_shape", 32, 32, "--workers", 1),
        "full_prediction.py": ("full_prediction", given / "run1", given / "images",
                               "--output_folder", out / "maps", "--confidence"),
        "clusters2classes.py": ("clusters2classes", given / "maps1", given / "labels",
                                "--output_folder", out / "c", "--polygons", out / "p.gpkg"),
        "evaluation.py": ("evaluation", given / "classes1", given / "labels", "--output_folder",
                          out / "report"),
        "rasterization.py": ("rasterization", given / "shapes.gpkg",
                             given / "images" / "east.tif", out / "b.tif"),
    }  # fmt: skip


def try_disks(given: Path, work: Path, seed: int) -> dict[str, Any]:
    """Try all of this; a task for a process of its own."""
    warm_up()
    part = Part("disks")
    _full_disks(part, given, work / "full", seed)
    _links(part, given, work / "links")
    _mounts(part, given, work / "mounts")
    _permissions(part, given, work / "permissions")
    _two_at_a_time(part, given, work / "two")
    return part.to_json()


class FullDisk:
    """Makes Python's calls fail from the n-th change of a folder on, as on a disk without room."""

    def __init__(self) -> None:
        """Add a hook, which does nothing by itself."""
        self.number, self._root, self._left = 0, "", 0
        self._recorder = Recorder(on_change=self._change)

    @contextmanager
    def after(self, changes: int, root: Path) -> Iterator[None]:
        """Let the disk have room for so many changes."""
        self._left, self.number = changes, 0
        with self._recorder.watching(root, None):
            yield

    def _change(self, event: str) -> None:
        if event.split()[0] in ("os.remove", "os.rmdir"):
            return
        self.number += 1
        if self.number > self._left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _full_disks(part: Part, given: Path, work: Path, seed: int) -> None:
    disk, out = FullDisk(), work / "out"
    for name, words in commands(given, out).items():
        shutil.rmtree(work, ignore_errors=True)
        out.mkdir(parents=True)
        with disk.after(10**9, out):
            call(*words)  # type: ignore[arg-type]
        wanted = essence(out)
        step = max(1, disk.number // 12)
        for changes in range(seed % step, disk.number, step):
            shutil.rmtree(work, ignore_errors=True)
            out.mkdir(parents=True)
            with disk.after(changes, out):
                ended = call(*words)  # type: ignore[arg-type]
            fault = ended.fault(0, 2) or ("" if ended.status else differences(essence(out), wanted))
            part.judge(f"full disk: {name}", fault or _half(out, wanted), f"after {changes} writes")
    _small_disks(part, given, work / "small")


def _half(out: Path, wanted: dict[str, object]) -> str:
    """Name a file that is under its final name and not what it should be."""
    found = essence(out)
    wrong = [
        name
        for name in found
        if name.endswith((".tif", ".png")) and found[name] != wanted.get(name)
    ]
    hidden = [name for name in found if is_hidden(name)]
    return f"left {(wrong + hidden)[0]}" if wrong + hidden else ""


def _small_disks(part: Part, given: Path, folder: Path) -> None:
    """Use disks in memory that hold a part of what is written."""
    for name, words in commands(given, folder).items():
        for kilobytes in (8, 24, 80):
            if not _mount(folder, f"size={kilobytes}k"):
                part.skipped.append("small disks (mounting is not allowed here)")
                return
            try:
                ended = call(*words)  # type: ignore[arg-type]
                fault = ended.fault(0, 2)
                hidden = [name for name in essence(folder) if is_hidden(name)]
                part.judge(f"small disk: {name}", fault or (f"left {hidden[0]}" if hidden else ""),
                           f"{kilobytes} KB")  # fmt: skip
            finally:
                _unmount(folder)


def _mount(folder: Path, options: str) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603
    except OSError:
        return False


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S603, S607


def _links(part: Part, given: Path, work: Path) -> None:
    out, real = work / "out", work / "real"
    for name, words in commands(given, out).items():
        shutil.rmtree(work, ignore_errors=True)
        for folder in (out, real):
            folder.mkdir(parents=True)
        link = next(Path(str(w)) for w in words if str(w).startswith(str(out)))
        target = real / link.name
        if not link.suffix:
            target.mkdir()
        link.symlink_to(target)
        ended = call(*words)  # type: ignore[arg-type]
        fault = ended.fault() or ("" if link.is_symlink() and target.exists() else "is no link now")
        part.judge("an output that is a link", fault, name)


def _mounts(part: Part, given: Path, work: Path) -> None:
    out = work / "out"
    for name, words in commands(given, out).items():
        place = next(Path(str(w)) for w in words if str(w).startswith(str(out)))
        shutil.rmtree(work, ignore_errors=True)
        if place.suffix:
            continue
        if not _mount(place, "size=8m"):
            part.skipped.append("mounts (mounting is not allowed here)")
            return
        try:
            ended = call(*words)  # type: ignore[arg-type]
            fault = ended.fault() or ("" if any(place.iterdir()) else "is empty")
            part.judge("an output that is a mount", fault, name)
            ended = call(*words, "--overwrite")  # type: ignore[arg-type]
            part.judge("a mount that is not empty", ended.fault(2, 0), name)
        finally:
            _unmount(place)


def _permissions(part: Part, given: Path, work: Path) -> None:
    """Take permissions away; a child process tries that gives up what lets root do all."""
    cases: dict[str, tuple[str, str]] = {
        "model.keras not readable": ("run1/model.keras", "full_prediction.py"),
        "run folder not readable": ("run1", "full_prediction.py"),
        "codebook not readable": ("run1/codebook.npz", "full_prediction.py"),
        "raster not readable": ("images/east.tif", "patch_generator.py"),
        "folder of rasters not readable": ("images", "patch_generator.py"),
        "folder of patches not readable": ("patches/east", "main.py"),
        "labels not readable": ("labels/east.tif", "clusters2classes.py"),
        "maps not readable": ("maps1", "clusters2classes.py"),
        "shapes not readable": ("shapes.gpkg", "rasterization.py"),
        "output not writable": ("../out", "rasterization.py"),
        "output folder not writable": ("../out", "full_prediction.py"),
    }
    for case, (path, name) in cases.items():
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(given, work / "given")
        (work / "out").mkdir()
        target = work / "given" / path
        target.chmod(0o555 if path == "../out" else 0o000)
        ended = _unprivileged(commands(work / "given", work / "out")[name])
        if ended.status == _NOT_HERE:
            part.skipped.append("permissions (they do not bind this user)")
            return
        target.chmod(0o755)
        part.judge("permissions", _permission_fault(ended), case)
    _resume_without_checkpoint(part, given, work)
    _legend_into_a_read_only_run(part, given, work)


def _permission_fault(ended: Outcome) -> str:
    if ended.status == 0 and "no permission" in ended.err:
        return ended.told_wrong()  # left out, with a word
    fault = ended.fault(2)
    if not fault and "no permission" not in ended.err:
        return f"does not say why: {ended.err[-200:]}"
    return fault


def _resume_without_checkpoint(part: Part, given: Path, work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(given, work / "given")
    (work / "out").mkdir()
    shutil.copytree(given / "run1", work / "out" / "run")
    (work / "out" / "run" / "checkpoint" / "state.npz").chmod(0)
    words = commands(work / "given", work / "out")["main.py"]
    ended = _unprivileged((*words, "--resume"))
    part.judge("permissions", _permission_fault(ended), "checkpoint not readable")


def _legend_into_a_read_only_run(part: Part, given: Path, work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(given, work / "given")
    (work / "out").mkdir()
    (work / "given" / "run1").chmod(0o555)
    words = commands(work / "given", work / "out")["clusters2classes.py"]
    ended = _unprivileged((*words, "--run", work / "given" / "run1"))
    has_maps = any((work / "out" / "c").glob("*.tif"))
    fault = _permission_fault(ended) or ("" if has_maps else "no maps")
    part.judge("permissions", fault, "legend into a run that is read-only")


def _unprivileged(words: Words) -> Outcome:
    """Run a command whom permissions bind."""
    script = str(Path(__file__).with_name("unprivileged.py"))
    done = subprocess.run(  # noqa: S603
        [sys.executable, script, *map(str, words)], capture_output=True, text=True, check=False
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def _two_at_a_time(part: Part, given: Path, work: Path) -> None:
    """Start a command on an output that another process is writing, or was when it was killed."""
    for name in ("main.py", "full_prediction.py"):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        words = commands(given, work)[name]
        first = [sys.executable, str(script_path(str(words[0]))), *map(str, words[1:])]
        process = subprocess.Popen(first, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        output = next(Path(str(w)) for w in words if str(w).startswith(str(work)))
        lock = output.with_name(f".{output.name}.clusternet-lock")
        while process.poll() is None and not _is_told(lock):
            time.sleep(0.01)
        ended = call(*words)  # type: ignore[arg-type]
        fault = ended.fault(2) or ("" if f"process {process.pid} " in ended.err else ended.err)
        part.judge("an output that another process writes is refused", fault, name)
        process.kill()
        process.wait()
        ended = call(*words)  # type: ignore[arg-type]
        left = [p.name for p in work.rglob(".*") if is_hidden(p.name)]
        part.judge(
            "the lock of a killed process is taken over", ended.fault() or ", ".join(left), name
        )


def _is_told(lock: Path) -> bool:
    try:
        return bool(json.loads(lock.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False
