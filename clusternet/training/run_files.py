"""The names of the files of a run, and how a run folder and a weights file are recognised."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from clusternet.files.outputs import KIND_TAG, Kind
from clusternet.files.pictures import is_our_png
from clusternet.legend.legend import LEGEND_FILE
from clusternet.patches.bands import Bands

SETTINGS, BANDS, MODEL, CODEBOOK = "settings.yaml", "bands.json", "model.keras", "codebook.npz"
CLASS_HEAD = "class_head.npz"
HISTORY, STATE, PREVIEWS = "history.csv", "checkpoint/state.npz", "previews"
TENSORBOARD = "tensorboard"
BACKBONE, BACKBONE_NETWORK = "backbone.json", "backbone.keras"
LEGEND, MAPS_FOLDER, PAGE_FOLDER = "legend.csv", "test_maps", "interactive"
PAGE_LOCK = "in_use.lock"
REPORT, REPORT_TITLE = "report.html", "<title>ClusterNet run</title>"
"""The page on a run, and what stands in it, which shows that ClusterNet wrote it."""


_FILES = {
    SETTINGS, BANDS, MODEL, CODEBOOK, CLASS_HEAD, HISTORY, STATE, BACKBONE, BACKBONE_NETWORK,
}  # fmt: skip
_MANY = re.compile(
    rf"{PREVIEWS}/epoch_\d+\.png|{TENSORBOARD}/events\.out\.tfevents\.[^/]*"
    # Features that the page computed may be deleted with the run. Strokes are the user's work.
    rf"|{PAGE_FOLDER}/[^/]+/(identity\.json|(features|clusters)_\d+\.npy|done\.npy|in_use\.\w+)"
)
_EPOCH_MAP = re.compile(rf"{MAPS_FOLDER}/epoch_\d+/.*\.png")


def is_our_report(path: Path) -> bool:
    """Tell whether a page is the report of a run that ClusterNet wrote."""
    try:
        return REPORT_TITLE in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _is_run(folder: Path) -> bool:
    return (folder / SETTINGS).is_file() and bool(Bands.load(folder / BANDS))


def _made_in_run(folder: Path) -> Callable[[str], bool]:
    def is_made(relative_path: str) -> bool:
        if relative_path == LEGEND:
            return LEGEND_FILE.owns(folder / relative_path)
        if relative_path == REPORT:
            return is_our_report(folder / relative_path)
        if _EPOCH_MAP.fullmatch(relative_path):
            return is_our_png(folder / relative_path, unsigned=True)
        return relative_path in _FILES or _MANY.fullmatch(relative_path) is not None

    return is_made


RUN = Kind("run folder", _is_run, _made_in_run)


def _is_weights_file(path: Path) -> bool:
    import h5py  # here and below, because few processes need it

    with h5py.File(path, "r") as file:
        return KIND_TAG in file.attrs


WEIGHTS = Kind("weights file", _is_weights_file)


def mark_weights(path: Path) -> None:
    """Mark a .weights.h5 file as one that ClusterNet wrote."""
    import h5py

    with h5py.File(path, "r+") as file:
        file.attrs[KIND_TAG] = "weights"
