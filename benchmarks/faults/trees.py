"""What a folder holds at one moment, kept and brought back."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

Tree = dict[str, str]
"""Relative path -> digest of a file, or ``folder``, or ``-> where a link leads``."""
FOLDER = "folder"
_HIDDEN = re.compile(r"(^|/)\.(part|old|move|probe)-")
_GROWING = "tensorboard/"
_CLOCK_STEP = 50_000_000  # nanoseconds within which a file system may not tell two changes apart
_LOCK = re.compile(r"(^|/)\.[^/]*\.clusternet-lock$")


def is_hidden(path: str) -> bool:
    """Tell whether a path is of work that is not finished, or a lock."""
    return bool(_HIDDEN.search(path) or _LOCK.search(path))


def visible(tree: Tree) -> Tree:
    """Return the files of a tree that are under their final name, and the links."""
    return {path: kept for path, kept in tree.items() if kept != FOLDER and not is_hidden(path)}


class Store:
    """Contents of files by their digest, in a folder."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which may hold contents already."""
        self._folder = folder
        self._known: dict[tuple[int, int, int], str] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, content: bytes) -> str:
        """Keep a content; return its digest."""
        digest = hashlib.sha256(content).hexdigest()[:24]
        path = self._folder / digest
        if not path.exists():
            path.write_bytes(content)
        return digest

    def content(self, digest: str) -> bytes:
        """Return a content."""
        return (self._folder / digest).read_bytes()

    def read(self, root: Path) -> Tree:
        """Return what a folder holds; what disappears meanwhile is left out."""
        tree: Tree = {}
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            try:
                if path.is_symlink():
                    tree[name] = f"-> {path.readlink()}"
                elif path.is_dir():
                    tree[name] = FOLDER
                else:
                    tree[name] = self._digest(path)
            except FileNotFoundError:
                continue
        return tree

    def _digest(self, path: Path) -> str:
        status = path.stat()
        seen = status.st_ino, status.st_size, status.st_mtime_ns
        if seen in self._known:
            return self._known[seen]
        digest = self.keep(path.read_bytes())
        if time.time_ns() - status.st_mtime_ns > _CLOCK_STEP:  # else it may change unseen
            self._known[seen] = digest
        return digest

    def bring_back(self, tree: Tree, root: Path) -> None:
        """Write a tree into a new folder, as if its process had ended."""
        root.mkdir(parents=True)
        mine, gone = _tokens()
        for name, kept in tree.items():
            path = root / name.replace(mine, gone)
            if kept == FOLDER:
                path.mkdir(parents=True, exist_ok=True)
            elif kept.startswith("-> "):
                path.symlink_to(kept[3:])
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                if _LOCK.search(name):
                    note = self.content(kept).replace(mine.encode(), gone.encode())
                    path.write_bytes(note)
                elif _GROWING in name:
                    path.write_bytes(self.content(kept))
                else:
                    os.link(self._folder / kept, path)


def _tokens() -> tuple[str, str]:
    """Return what marks hidden files of this process, and of one of its number that is gone."""
    from clusternet.processes.owners import Owner

    this = Owner.this()
    return this.token, replace(this, start=this.start + 1).token


def essence(root: Path) -> dict[str, object]:
    """Return the content of each file without its times, to compare results."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and "/tensorboard/" not in f"/{name}":
            read = _ESSENCES.get(path.name, _ESSENCES.get(path.suffix, Path.read_bytes))
            found[name] = read(path)
    return found


def _settings(path: Path) -> object:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("workers:")]


def _history(path: Path) -> object:
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    return [_untimed(row) for row in rows]


def _untimed(row: dict[str, object]) -> dict[str, object]:
    return {k: v for k, v in row.items() if k not in ("seconds", "patches_per_second")}


def _state(path: Path) -> object:
    with np.load(path, allow_pickle=False) as values:
        arrays = {name: values[name] for name in values if name != "model_sha256"}
    found: dict[str, object] = {name: (a.dtype.str, a.tobytes()) for name, a in arrays.items()}
    if "history" in arrays:
        found["history"] = [_untimed(row) for row in json.loads(str(arrays["history"]))]
    return found


def _network(path: Path) -> object:
    import h5py

    arrays: dict[str, bytes] = {}

    def keep(_name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):  # numbers of layers differ from one build to the next
            arrays[f"{len(arrays):04d} {item.shape}"] = item[()].tobytes()

    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "r") as file:
        file.visititems(keep)
    return sorted(arrays.values())


def _shapes(path: Path) -> object:
    import geopandas
    import pyogrio

    layers = [str(name) for name, _ in pyogrio.list_layers(path)]
    return {name: geopandas.read_file(path, layer=name).to_json() for name in layers}


_ESSENCES: dict[str, Callable[[Path], object]] = {
    "history.csv": _history, "settings.yaml": _settings, ".npz": _state, ".keras": _network,
    ".gpkg": _shapes,
}  # fmt: skip


def differences(one: dict[str, object], other: dict[str, object]) -> str:
    """Name the files in which two results differ; nothing if they are equal."""
    names = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
