"""A cache on disk of the features of a scene, which strokes need at once.

The folder ``RUN/interactive/<raster>-<digest>/`` holds:

======================  ==============================================================
``identity.json``       what the features were computed from
``features_<s>.npy``    (rows, cols, depth) uint8 of every s-th pixel, s = 1, 4, 16
``clusters_<s>.npy``    (rows, cols) uint16: cluster + 1, 0 where there is no data (yet)
``done.npy``            (windows,) True for windows that are computed
======================  ==============================================================

The files are memory-mapped, so that large scenes need little memory. What is stored of a pixel, and
how a number becomes a byte, is in `clusternet.prediction.quantiser`.

The feature maps of tools/full_prediction.py hold the same bytes for GIS, which want one compressed
GeoTIFF with all features. A page reads single pixels and three scales at once, and fills the cache
while it is read, which no GeoTIFF allows.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clusternet.errors import OutputError
from clusternet.files.outputs import Kind, check_new, make_parent, new_file, readable_os_errors
from clusternet.locations import state_of
from clusternet.prediction.quantiser import Quantiser
from clusternet.raster import RasterProfile
from clusternet.text_files import read_json
from clusternet.training.run import Run
from clusternet.training.run_files import PAGE_FOLDER, PAGE_LOCK
from clusternet.types import AnyArray, BoolArray, FloatArray, IntArray, UInt8Array
from clusternet.windows import Blocks, Shape, Window, blocks

VERSION = 3
STEPS = (1, 4, 16)
"""Pixel steps of the stored copies: each has every s-th pixel. Coarse ones serve overviews."""
WINDOW = 512
"""Side in pixels of the windows that are computed at once; a multiple of every step."""
IDENTITY = "identity.json"
_SPARE = 64 * 2**20  # bytes that are left free on the disk


@dataclass(frozen=True)
class Identity:
    """All inputs of the features of a scene; equal identities give equal features."""

    raster: str
    size: int
    mtime_ns: int
    shape: tuple[int, int]
    run: str
    depth: int
    version: int = VERSION

    @classmethod
    def of(cls, profile: RasterProfile, run: Run, depth: int) -> Identity:
        """Return the identity of a raster in its present state and a run."""
        size, changed = state_of(profile.path)
        return cls(
            str(profile.path.resolve()), size, changed, profile.shape,
            run.stored.identity, depth,
        )  # fmt: skip

    def differences(self, path: Path) -> list[str]:
        """Return the names of the fields that differ in a file; "everything" if unreadable."""
        try:
            stored = read_json(path, OutputError)
        except OutputError:
            return ["everything"]
        own = json.loads(json.dumps(asdict(self)))
        if not isinstance(stored, dict):
            return ["everything"]
        return [name for name, value in own.items() if stored.get(name) != value]


def _is_scene_folder(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (IDENTITY, "features_1.npy", PAGE_LOCK))


FEATURES = Kind("folder of a scene's features", _is_scene_folder, lambda _: lambda _: False)
"""Filled in place and never replaced as a whole."""


def scene_folder(run: Path, raster: Path, root: Path | None = None) -> Path:
    """Return the folder of a raster's features and strokes, in ``root`` or else in the run."""
    digest = hashlib.sha256(str(raster.resolve()).encode()).hexdigest()[:8]
    return (root or run / PAGE_FOLDER) / f"{raster.stem}-{digest}"


class FeatureCache:
    """An open cache. One thread writes windows; any thread may read."""

    def __init__(self, folder: Path, shape: Shape, quantiser: Quantiser) -> None:
        """Map the files of a cache; see `open_cache`."""
        self.folder, self.shape, self.quantiser = folder, shape, quantiser
        self._features = {s: _map(folder / f"features_{s}.npy") for s in STEPS}
        self._clusters = {s: _map(folder / f"clusters_{s}.npy") for s in STEPS}
        self._done = _map(folder / "done.npy")

    @property
    def windows(self) -> Blocks:
        """The windows that are computed one by one, in row order."""
        return blocks(self.shape, (WINDOW, WINDOW))

    @property
    def done(self) -> BoolArray:
        """(windows,) True for windows that are computed."""
        return np.array(self._done)

    @property
    def is_complete(self) -> bool:
        """True if all windows are computed."""
        return bool(self._done.all())

    def write(
        self, number: int, features: FloatArray | None, clusters: IntArray, valid: BoolArray
    ) -> None:
        """Store window ``number``: features (rows, cols, all), or None if it has no valid pixel."""
        window = self.windows[number]
        stored = None if features is None else self.quantiser.quantise(features)
        codes = np.where(valid, clusters + 1, 0)
        for step in STEPS:
            rows = slice(window.row // step, -(-(window.row + window.height) // step))
            cols = slice(window.col // step, -(-(window.col + window.width) // step))
            if stored is not None:
                self._features[step][rows, cols] = stored[::step, ::step]
            self._clusters[step][rows, cols] = codes[::step, ::step]
        self._done[number] = True

    def flush(self) -> None:
        """Sync all windows to the disk; the marks of computed windows come last."""
        for array in (*self._features.values(), *self._clusters.values(), self._done):
            array.flush()

    def read(self, window: Window, step: int = 1) -> tuple[UInt8Array, IntArray, BoolArray]:
        """Read every ``step``-th pixel of a window that lies on the scene.

        Args:
            window: starts at a multiple of ``step``.
            step: a power of two.

        Returns:
            features (rows, cols, depth), clusters (rows, cols) and valid (rows, cols), with
            ``rows = ceil(height / step)``. Pixels that are not computed yet are not valid.
        """
        stored = max(s for s in STEPS if s <= step and step % s == 0)
        every = step // stored
        strided = tuple(
            slice(first // stored, -(-(first + size) // stored), every)
            for first, size in ((window.row, window.height), (window.col, window.width))
        )
        codes = np.asarray(self._clusters[stored][strided]).astype(np.int32)
        return np.asarray(self._features[stored][strided]), np.maximum(codes - 1, 0), codes > 0

    def at(self, positions: AnyArray) -> tuple[UInt8Array, IntArray, BoolArray]:
        """Read single pixels, (pixels, 2) of row and column; returns as `read`, flat."""
        rows, cols = positions[:, 0], positions[:, 1]
        codes = np.asarray(self._clusters[1][rows, cols]).astype(np.int32)
        return np.asarray(self._features[1][rows, cols]), np.maximum(codes - 1, 0), codes > 0


def open_cache(folder: Path, identity: Identity, quantiser: Quantiser) -> tuple[FeatureCache, str]:
    """Open the cache of a scene, or start an empty one if none of this identity exists.

    Returns:
        the cache, and the reason for starting a new one (empty if it was opened).

    Raises:
        OutputError: if ClusterNet did not make the folder, the disk has too little space, or the
            folder cannot be written.
    """
    check_new(folder, kind=FEATURES, overwrite=True)
    path = folder / IDENTITY
    differences = identity.differences(path)
    reason = ""
    if not differences:
        try:
            return FeatureCache(folder, identity.shape, quantiser), ""
        except (FileNotFoundError, EOFError, ValueError):  # no other OSError, as of too many files
            reason = "files were missing or damaged"
    elif path.exists():
        reason = f"changed since: {', '.join(differences)}"
    _start(folder, identity)
    return FeatureCache(folder, identity.shape, quantiser), reason


def disk_bytes(shape: Shape, depth: int) -> int:
    """Return the size of a complete cache on disk."""
    pixels = sum(-(-shape[0] // step) * -(-shape[1] // step) for step in STEPS)
    return pixels * (depth + 2)


def _start(folder: Path, identity: Identity) -> None:
    """Create the files of an empty cache; the identity comes last and makes it valid."""
    make_parent(folder / IDENTITY)
    arrays = [f"{what}_{step}.npy" for what in ("features", "clusters") for step in STEPS]
    for name in (IDENTITY, *arrays, "done.npy"):
        (folder / name).unlink(missing_ok=True)
    needed = disk_bytes(identity.shape, identity.depth)
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise OutputError(
            f"{folder}: the features of {Path(identity.raster).name} take "
            f"{needed / 1e9:.2f} GB and {_SPARE / 1e9:.2f} GB more must stay free, but only "
            f"{free / 1e9:.2f} GB are free; make room, or name another place with --cache_folder."
        )
    rows, cols = identity.shape
    windows = len(blocks(identity.shape, (WINDOW, WINDOW)))
    with readable_os_errors(folder):
        for step in STEPS:
            size = (-(-rows // step), -(-cols // step))
            _create(folder / f"features_{step}.npy", (*size, identity.depth), "uint8")
            _create(folder / f"clusters_{step}.npy", size, "uint16")
        _create(folder / "done.npy", (windows,), "bool")
    with new_file(folder / IDENTITY, overwrite=True) as hidden_path:
        hidden_path.write_text(json.dumps(asdict(identity), indent=1) + "\n", encoding="utf-8")


def _create(path: Path, shape: tuple[int, ...], dtype: str) -> None:
    # A sparse file: it reads as zeros, and takes space on the disk only as windows are written.
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


def _map(path: Path) -> Any:
    # NumPy extends a truncated file in mode r+, but raises an error in mode r: so that is tried.
    np.load(path, mmap_mode="r", allow_pickle=False)
    return np.load(path, mmap_mode="r+", allow_pickle=False)
