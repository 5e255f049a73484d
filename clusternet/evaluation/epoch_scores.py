"""Score the cluster maps of the test patches that a run wrote after every epoch."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from clusternet.errors import LabelError, RunError
from clusternet.evaluation.contingency import added, read_header
from clusternet.evaluation.results import EpochScores
from clusternet.labels.files import settle_labels
from clusternet.labels.pairing import Pair, pair_files
from clusternet.labels.reading import open_labels_onto
from clusternet.labels.rules import LabelOptions, LabelRules
from clusternet.legend.class_list import ClassList
from clusternet.metrics import (
    Counts,
    Scores,
    contingency_table,
    majority_mapping,
    mapped_confusion,
    nmi,
)
from clusternet.processes.progress import Progress
from clusternet.raster import open_raster
from clusternet.raster.endings import is_vector
from clusternet.training.run_files import MAPS_FOLDER
from clusternet.types import BoolArray, IntArray
from clusternet.windows import Shape, Window, centre
from clusternet.yaml_files import read_yaml

_EPOCH = re.compile(r"epoch_(\d+)")


def evaluate_epochs(
    run: Path,
    labels: Path,
    *,
    classes: ClassList | None = None,
    ignore_label: int | None = None,
) -> list[EpochScores]:
    """Score the cluster maps of each epoch of a run.

    In every epoch, each cluster gets the class that most of its labelled pixels have. All labels
    are used, for naming and for scoring. So compare these scores with each other only, not with
    scores at a labelled fraction.

    Args:
        run: run folder of a training with ``--test_img_folder``, or the folder that it was given
            as ``--out_pred_masks_test``.
        labels: label rasters of the test patches, in a folder laid out like that of the patches.
        classes: the classes that labels may hold; None allows any.
        ignore_label: label value of pixels without a label; None means 255.

    Raises:
        RunError: if the run holds no such maps.
        LabelError: if labels are missing, do not fit, or hold unexpected values.
    """
    folders = find_epochs(run)
    pairs = {epoch: pair_files(folder, labels) for epoch, folder in folders.items()}
    total = sum(map(len, pairs.values()))
    options = LabelOptions(classes or ClassList(), ignore_label=ignore_label)
    label_files = {label for files in pairs.values() for _, label in files}
    rules = settle_labels(label_files, options, advice="--ignore_label 255 if 255 means no label")
    patches = _Patches(_resized_shape(run), rules)
    scores: list[EpochScores] = []
    with Progress(total=total, unit="map", desc="evaluating epochs") as bar:
        for epoch, files in pairs.items():
            table = patches.table(files, bar.update)
            if not table.any():
                why = rules.inventory.why_none() or "it holds nothing but nodata"
                raise LabelError(f"{labels}: gives no map in {folders[epoch]} a label: {why}.")
            if not scores:  # the labels of all epochs are the same
                rules.inventory.report()
            named = Scores.from_confusion(mapped_confusion(table, majority_mapping(table)))
            scores.append(
                EpochScores(epoch, named.pixels, named.accuracy, named.mean_iou, nmi(table))
            )
    return scores


def find_epochs(run: Path) -> dict[int, Path]:
    """Return the folder of the maps of each epoch, by the number of the epoch and in its order.

    Raises:
        RunError: if there is none.
    """
    root = run / MAPS_FOLDER if (run / MAPS_FOLDER).is_dir() else run
    if not root.is_dir():
        raise RunError(f"{run}: no such run folder.")
    epoch_folders = {}
    for folder in sorted(root.iterdir()):
        match = _EPOCH.fullmatch(folder.name)
        if match and folder.is_dir():
            epoch_folders[int(match[1])] = folder
    if not epoch_folders:
        raise RunError(
            f"{run}: holds no maps of epochs ({MAPS_FOLDER}/epoch_001, ...); "
            "train with --test_img_folder to write them."
        )
    # by number: as text, epoch_1000 would come before epoch_999
    return dict(sorted(epoch_folders.items()))


def _resized_shape(run: Path) -> Shape | None:
    """Return the shape (rows, cols) to which the run resized its patches; None if it did not."""
    settings = run / "settings.yaml"
    shape = read_yaml(settings).get("img_shape") if settings.is_file() else None
    return (int(shape[0]), int(shape[1])) if shape else None


class _Patches:
    """Reads the maps of patches with their labels, and counts them."""

    def __init__(self, resized: Shape | None, rules: LabelRules) -> None:
        self._resized = resized
        self._rules = rules

    def table(self, files: Sequence[Pair], progress: Callable[[], object]) -> Counts:
        """Return the contingency table (clusters, classes) of all maps of an epoch."""
        table = np.zeros((1, 1), np.int64)
        for map_path, label_path in files:
            values, valid = self._read_map(map_path)
            truth, labelled = self._read_labels(label_path, map_path, values.shape)
            usable = valid & labelled
            if usable.any():
                self._rules.inventory.add_used(truth[usable])
                shape = int(values[usable].max()) + 1, int(truth[usable].max()) + 1
                table = added(table, contingency_table(values, truth, *shape, usable))
            progress()
        return table

    def _read_map(self, path: Path) -> tuple[IntArray, BoolArray]:
        header = read_header(path)
        with open_raster(path, header.nodata, codes=True) as raster:
            pixels, valid = raster.read(Window(0, 0, *header.shape))
        return pixels[..., 0].astype(np.int32), valid

    def _read_labels(self, path: Path, map_path: Path, shape: Shape) -> tuple[IntArray, BoolArray]:
        """Read the labels under a map of this shape (rows, cols), which may be a patch's centre.

        A network with valid padding maps only the centre of a patch.
        """
        if is_vector(path):
            raise LabelError(
                f"{path}: holds shapes; expected label rasters that were cut like the test patches "
                "(tools/patch_generator.py --masks_folder)."
            )
        with open_raster(path, codes=True) as raster:
            profile = raster.profile
        rows, cols = profile.shape
        smaller = rows < shape[0] or cols < shape[1]
        if smaller or (self._resized and self._resized != profile.shape):
            expected = self._resized or shape
            raise LabelError(
                f"{path}: expected labels of {expected[0]} x {expected[1]} pixels for {map_path}, "
                f"found {rows} x {cols}; cut them with the same windows as the patches."
            )
        with open_labels_onto(path, profile, self._rules) as labels:
            return labels.read(centre(Window(0, 0, rows, cols), shape))
