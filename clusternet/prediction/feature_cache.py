"""The features of a scene, kept on disk so that strokes can use them at once.

Beside the run, ``RUN/interactive/<raster>-<digest>/`` holds:

======================  ==============================================================
``identity.json``       what the features were computed from
``features_<s>.npy``    (rows, cols, depth) uint8 of every s-th pixel, s = 1, 4, 16
``clusters_<s>.npy``    (rows, cols) uint16: cluster + 1, 0 where there is no data (yet)
``done.npy``            (windows,) which windows are computed
======================  ==============================================================

The files are memory-mapped: memory stays small whatever the scene's size, and the system keeps
what is in view. A feature is a byte, from its 0.5 to its 99.5 percentile in training, the same
steps for every scene of a run; features that never vary are left out.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clusternet.errors import OutputError, RunError
from clusternet.files.outputs import Kind, check_new, make_parent, new_file, readable_os_errors
from clusternet.prediction.guide import edge_axes
from clusternet.raster import RasterProfile
from clusternet.text_files import read_json
from clusternet.training.run import Run
from clusternet.training.run_files import PAGE_FOLDER, PAGE_LOCK
from clusternet.types import AnyArray, BoolArray, FloatArray, IntArray, UInt8Array
from clusternet.windows import Shape, Window, blocks

VERSION = 2
STEPS = (1, 4, 16)
"""Every how many pixels each stored copy has one: the coarser ones serve views from afar."""
WINDOW = 512
"""Side of the windows that are computed at once, in pixels; a multiple of every step."""
LEVELS = 254
"""Steps of a byte that measures something; 255 is nodata in maps."""
IDENTITY = "identity.json"
_SPARE = 64 * 2**20  # bytes left free on the disk


@dataclass(frozen=True)
class Quantiser:
    """How features become bytes, and back."""

    kept: IntArray
    """(depth,) the features that vary, out of all of the network's."""
    low: FloatArray
    """(depth,) what 0 stands for."""
    step: FloatArray
    """(depth,) what one more stands for."""
    centroids: FloatArray
    """(clusters, depth) the run's centroids in these units, not rounded."""
    projection: FloatArray | None = None
    """(depth, dimensions) from these units to the space of K-Means, but for an offset; None if
    the run clusters features as they are."""
    guide: FloatArray | None = None
    """(depth, channels) the bands among the features, or what they differ by most if they are
    more than three; None if the run has no bands among its features."""

    @classmethod
    def of_run(cls, run: Run) -> Quantiser:
        """Take the feature range and the centroids of a run."""
        low, high = run.stored.feature_range
        kept = np.flatnonzero(high - low > 1e-6).astype(np.int32)
        if not len(kept):
            raise RunError(f"{run.folder}: its features never vary; train it again.")
        step = ((high - low) / LEVELS)[kept].astype(np.float32)
        book = run.stored.codebook
        # back from the space of K-Means, which may be whitened, to that of the features
        centroids = book.centroids @ np.linalg.pinv(book.projection) + book.offset
        scaled = (centroids[:, kept] - low[kept]) / step
        projection = None
        if book.has_projection:
            projection = np.asarray(step[:, None] * book.projection[kept], np.float32)
        guide = None
        if run.settings.fixed_filters:  # the bands come first of them
            last = run.settings.num_features + run.bands.num_bands
            places = np.flatnonzero((kept >= run.settings.num_features) & (kept < last))
            guide = _guide(places, scaled, run.stored.sizes)
        return cls(kept, low[kept], step, scaled.astype(np.float32), projection, guide)

    def quantise(self, features: FloatArray) -> UInt8Array:
        """Return features (..., all) as bytes (..., depth)."""
        steps = (features[..., self.kept] - self.low) * (1 / self.step)
        return np.asarray(np.rint(steps, out=steps).clip(0, LEVELS), np.uint8)


def _guide(bands: AnyArray, centroids: FloatArray, sizes: IntArray) -> FloatArray | None:
    """Return the projection of features to at most three channels that have the image's edges.

    Args:
        bands: the features that are bands.
        centroids: (clusters, depth); what they differ by stands for what pixels do.
        sizes: (clusters,) pixels of each.
    """
    if not len(bands):
        return None
    spread = np.cov(centroids[:, bands].T, fweights=np.maximum(sizes, 1))
    axes = edge_axes(np.atleast_2d(spread))
    guide = np.zeros((centroids.shape[1], axes.shape[1]), np.float32)
    guide[bands] = axes
    return guide


@dataclass(frozen=True)
class Identity:
    """What the features of a scene depend on; equal identities give equal features."""

    raster: str
    size: int
    mtime_ns: int
    shape: tuple[int, int]
    run: str
    depth: int
    version: int = VERSION

    @classmethod
    def of(cls, profile: RasterProfile, run: Run, depth: int) -> Identity:
        """Describe a raster as it is now, and a run."""
        stat = profile.path.stat()
        return cls(
            str(profile.path.resolve()), stat.st_size, stat.st_mtime_ns, profile.shape,
            run.stored.identity, depth,
        )  # fmt: skip

    def differences(self, path: Path) -> list[str]:
        """Return which fields of an identity file differ; all if it cannot be read."""
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
    """Return the folder that keeps what belongs to a raster; ``root`` replaces the run's own."""
    digest = hashlib.sha256(str(raster.resolve()).encode()).hexdigest()[:8]
    return (root or run / PAGE_FOLDER) / f"{raster.stem}-{digest}"


class FeatureCache:
    """An open cache; windows are written by one thread and read by any."""

    def __init__(self, folder: Path, shape: Shape, quantiser: Quantiser) -> None:
        """Map the files of a cache; see `open_cache`."""
        self.folder, self.shape, self.quantiser = folder, shape, quantiser
        self._features = {s: _map(folder / f"features_{s}.npy") for s in STEPS}
        self._clusters = {s: _map(folder / f"clusters_{s}.npy") for s in STEPS}
        self._done = _map(folder / "done.npy")

    @property
    def windows(self) -> list[Window]:
        """The windows that it is computed in, row by row."""
        return list(blocks(self.shape, (WINDOW, WINDOW)))

    @property
    def done(self) -> BoolArray:
        """(windows,) True where features are there."""
        return np.array(self._done)

    @property
    def is_complete(self) -> bool:
        """True when every window is there."""
        return bool(self._done.all())

    def write(
        self, number: int, features: FloatArray | None, clusters: IntArray, valid: BoolArray
    ) -> None:
        """Store window ``number``: features (rows, cols, all), or None without any data."""
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
        """Put everything written onto the disk, the marks of what is done last."""
        for array in (*self._features.values(), *self._clusters.values(), self._done):
            array.flush()

    def read(self, window: Window, step: int = 1) -> tuple[UInt8Array, IntArray, BoolArray]:
        """Read every ``step``-th pixel of a window that lies on the scene.

        Args:
            window: starts at a multiple of ``step``.
            step: a power of two.

        Returns:
            features (rows, cols, depth), clusters (rows, cols) and valid (rows, cols), with
            ``rows = ceil(height / step)``; not valid also where nothing was computed yet.
        """
        stored = max(s for s in STEPS if s <= step and step % s == 0)
        every = step // stored
        place = tuple(
            slice(first // stored, -(-(first + size) // stored), every)
            for first, size in ((window.row, window.height), (window.col, window.width))
        )
        codes = np.asarray(self._clusters[stored][place]).astype(np.int32)
        return np.asarray(self._features[stored][place]), np.maximum(codes - 1, 0), codes > 0

    def at(self, positions: AnyArray) -> tuple[UInt8Array, IntArray, BoolArray]:
        """Read single pixels, (pixels, 2) of row and column; returns as `read`, flat."""
        rows, cols = positions[:, 0], positions[:, 1]
        codes = np.asarray(self._clusters[1][rows, cols]).astype(np.int32)
        return np.asarray(self._features[1][rows, cols]), np.maximum(codes - 1, 0), codes > 0


def open_cache(folder: Path, identity: Identity, quantiser: Quantiser) -> tuple[FeatureCache, str]:
    """Open the cache of a scene, or start an empty one where there is none that fits.

    Returns:
        the cache, and in words why it was started afresh (empty if it was not).

    Raises:
        OutputError: if the folder is of others, the disk has too little room, or it cannot be
            written.
    """
    check_new(folder, kind=FEATURES, overwrite=True)
    path = folder / IDENTITY
    differences = identity.differences(path)
    reason = ""
    if not differences:
        try:
            return FeatureCache(folder, identity.shape, quantiser), ""
        except (OSError, ValueError):
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
    """Create the files of an empty cache, the identity last."""
    make_parent(folder / IDENTITY)
    arrays = [f"{what}_{step}.npy" for what in ("features", "clusters") for step in STEPS]
    for name in (IDENTITY, *arrays, "done.npy"):
        (folder / name).unlink(missing_ok=True)
    needed = disk_bytes(identity.shape, identity.depth)
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise OutputError(
            f"{folder}: the features of {Path(identity.raster).name} take "
            f"{needed / 1e9:.2f} GB, and only {free / 1e9:.2f} GB are free; make room, or name "
            "another place with --cache_folder."
        )
    rows, cols = identity.shape
    windows = len(list(blocks(identity.shape, (WINDOW, WINDOW))))
    with readable_os_errors(folder):
        for step in STEPS:
            size = (-(-rows // step), -(-cols // step))
            _create(folder / f"features_{step}.npy", (*size, identity.depth), "uint8")
            _create(folder / f"clusters_{step}.npy", size, "uint16")
        _create(folder / "done.npy", (windows,), "bool")
    with new_file(folder / IDENTITY, overwrite=True) as part:
        part.write_text(json.dumps(asdict(identity), indent=1) + "\n", encoding="utf-8")


def _create(path: Path, shape: tuple[int, ...], dtype: str) -> None:
    # a file with holes: it takes room on the disk as windows are written, and reads as zeros
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


def _map(path: Path) -> Any:
    np.load(path, mmap_mode="r", allow_pickle=False)  # fails if cut off, where r+ makes it longer
    return np.load(path, mmap_mode="r+", allow_pickle=False)
