"""Count a map and its labels into a contingency table, window by window."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from clusternet.errors import LabelError
from clusternet.files.outputs import KIND_TAG
from clusternet.labels.reading import Labels, open_labels_onto
from clusternet.labels.rules import LabelRules
from clusternet.legend.common_classes import Renumbering
from clusternet.legend.legend import MAX_CLUSTER
from clusternet.metrics import Counts, contingency_table
from clusternet.nodata import Number
from clusternet.raster import Raster, open_raster
from clusternet.raster.categories import check_lossless, read_names
from clusternet.types import BoolArray, IntArray
from clusternet.windows import Shape, Window, blocks

BLOCK = 128
"""Side in pixels of the blocks that are labelled or not in a draw."""
MAX_CLASSES = 1024
"""Labels of this value or more are refused: they number objects, probably, and not classes."""

# A multiple of BLOCK, so that no block of a draw lies in two windows.
_WINDOW = 8 * BLOCK
_PICTURE_SIDE = 400  # pixels, the longer side of a thumbnail
_NODATA = {"uint8": 255.0, "uint16": 65535.0}  # of maps whose file format cannot state one (PNG)


@dataclass(frozen=True)
class MapHeader:
    """What is known of a map file before its pixels are counted."""

    path: Path
    shape: Shape
    """(rows, cols)"""
    kind: str | None
    """``classes``, ``clusters``, or None where the file does not say."""
    nodata: Number | None
    """The file's nodata value, else 255 (8 bit) or 65535 (16 bit), as maps of ClusterNet have."""
    declares_nodata: bool = True
    """False if the file states no nodata value."""
    is_mask: bool = False
    """True if it holds only 0 and 255, which are then taken as the classes 0 and 1."""

    @property
    def num_blocks(self) -> int:
        """Number of blocks that cover the map."""
        return math.ceil(self.shape[0] / BLOCK) * math.ceil(self.shape[1] / BLOCK)


@dataclass(frozen=True)
class Picture:
    """Thumbnails of a map and its labels; (rows, cols) values, -1 where there is none."""

    predicted: IntArray
    truth: IntArray


@dataclass
class FileContingency:
    """The contingency table of one map and its labels."""

    map_path: Path
    label_path: Path
    table: Counts = field(default_factory=lambda: np.zeros((1, 1), np.int64))
    """(map values, classes) counts of the pixels that have a map value and a label."""
    pixels: int = 0
    """Pixels of the map."""
    mapped: int = 0
    """Pixels that are not nodata."""
    overlaps: bool = True
    """False if no label lies on the map."""
    picture: Picture | None = None


def read_header(path: Path) -> MapHeader:
    """Read the grid, nodata value and kind of a map, but not its pixels.

    Raises:
        RasterError: if it cannot be read.
        LabelError: if it holds anything but one band of whole numbers.
    """
    check_lossless(path, "a map")
    with open_raster(path, codes=True) as raster:
        profile = raster.profile
        if profile.num_bands != 1 or np.dtype(profile.dtype).kind not in "iu":
            raise LabelError(
                f"{path}: expected a map with one band of whole numbers, found "
                f"{profile.num_bands} band(s) of {profile.dtype}."
            )
        nodata = profile.nodata if profile.nodata is not None else _NODATA.get(profile.dtype)
        if profile.nodata is None and nodata in read_names(path):
            nodata = None  # the file names a class of this value
        kind = raster.tags.get(KIND_TAG)
        if kind in ("confidence", "features"):
            raise LabelError(f"{path}: holds {kind}; expected a map of clusters or classes.")
        return MapHeader(path, profile.shape, kind, nodata, profile.nodata is not None)


def tabulate_file(
    header: MapHeader,
    label_path: Path,
    drawn: BoolArray,
    *,
    rules: LabelRules,
    onto: Renumbering | None = None,
    with_picture: bool = False,
    progress: Callable[[int], object] = lambda pixels: None,
) -> tuple[FileContingency, Counts]:
    """Count how many pixels have each pair of map value and label.

    Args:
        header: of the map.
        label_path: its labels, raster or vector, on any grid.
        drawn: (draws, blocks) True for the blocks that are labelled in a draw.
        rules: how labels are read.
        onto: from the class numbers of the map to the common ones; None leaves its values.
        with_picture: keep thumbnails.
        progress: called after each window with its number of pixels.

    Returns:
        the table of all pixels, and the tables (draws, map values, classes) of the pixels that
        are labelled in each draw.

    Raises:
        LabelError: if labels hold unexpected values.
        GridMismatchError: if labels cannot be laid over the map.
    """
    with (
        open_raster(header.path, header.nodata, codes=True) as raster,
        open_labels_onto(label_path, raster.profile, rules) as labels,
    ):
        contingency = FileContingency(header.path, label_path, overlaps=labels.overlaps)
        counter = _Counter(
            contingency, MapValues(raster, header.is_mask, onto), labels, drawn, rules
        )
        thumbnails = _Thumbnails(header.shape) if with_picture else None
        for window in blocks(header.shape, (_WINDOW, _WINDOW)) if labels.overlaps else ():
            values, truth = counter.add(window)
            if thumbnails is not None:
                thumbnails.add(window, values, truth)
            progress(window.height * window.width)
    if thumbnails is not None:
        contingency.picture = thumbnails.picture
    return contingency, counter.draw_tables


def grown(counts: Counts, shape: tuple[int, ...]) -> Counts:
    """Return a table with zeros appended up to ``shape`` in every axis where it is smaller."""
    missing = [(0, max(new - old, 0)) for old, new in zip(counts.shape, shape, strict=True)]
    return np.pad(counts, missing)


def added(first: Counts, second: Counts) -> Counts:
    """Add two tables; a class or cluster that one of them lacks has zero pixels there."""
    return grown(first, second.shape) + grown(second, first.shape)


@dataclass(frozen=True)
class MapValues:
    """The values of a map; those of a class map are translated to the common class numbers."""

    raster: Raster
    is_mask: bool
    onto: Renumbering | None

    def read(self, window: Window) -> tuple[IntArray, BoolArray]:
        """Return values, -1 where the map is nodata, and where it is valid; (rows, cols) both."""
        pixels, valid = self.raster.read(window)
        valid_values = pixels[..., 0][valid]
        for value in (valid_values.min(), valid_values.max()) if valid_values.size else ():
            if not 0 <= value <= MAX_CLUSTER:
                raise LabelError(
                    f"{self.raster.profile.path}: holds the value {value}; expected numbers of "
                    f"classes or clusters, from 0 to {MAX_CLUSTER}."
                )
        numbers = valid_values.astype(np.int32)
        if self.is_mask:
            numbers = np.minimum(numbers, 1)  # 255 becomes the class 1
        values = np.full(window.shape, -1, np.int32)
        values[valid] = numbers if self.onto is None else self.onto.apply(numbers)
        return values, valid


class _Counter:
    """Adds windows of a map and its labels to contingency tables."""

    def __init__(
        self,
        contingency: FileContingency,
        values: MapValues,
        labels: Labels,
        drawn: BoolArray,
        rules: LabelRules,
    ) -> None:
        self.contingency = contingency
        self.draw_tables = np.zeros((len(drawn), 1, 1), np.int64)
        self._values = values
        self._labels = labels
        self._drawn = drawn
        self._inventory = rules.inventory

    def add(self, window: Window) -> tuple[IntArray, IntArray]:
        """Count a window, and return its map values and labels, -1 where there is none."""
        values, valid = self._values.read(window)
        truth, labelled = self._labels.read(window)
        usable = valid & labelled
        self.contingency.pixels += valid.size
        self.contingency.mapped += int(valid.sum())
        if usable.any():
            # The largest values are known only after the last window, so the table grows.
            self._inventory.add_used(truth[usable])
            shape = _table_shape(self.contingency.label_path, values, truth, usable)
            self.contingency.table = added(
                self.contingency.table, contingency_table(values, truth, *shape, usable)
            )
            self._add_draws(window, values, truth, usable, shape)
        return values, truth

    def _add_draws(
        self, window: Window, values: IntArray, truth: IntArray, usable: BoolArray, shape: Shape
    ) -> None:
        """Add the blocks of a window to the tables of the draws in which they are labelled."""
        row_length = math.ceil(self._values.raster.profile.shape[1] / BLOCK)
        for block in blocks(window.shape, (BLOCK, BLOCK)):
            row, col = (window.row + block.row) // BLOCK, (window.col + block.col) // BLOCK
            draws = self._drawn[:, row * row_length + col]
            if draws.any():
                inside = block.slices()
                counts = contingency_table(values[inside], truth[inside], *shape, usable[inside])
                in_draws = draws[:, np.newaxis, np.newaxis] * counts
                self.draw_tables = added(self.draw_tables, in_draws)


def _table_shape(label_path: Path, values: IntArray, truth: IntArray, usable: BoolArray) -> Shape:
    """Return (map values, classes) of the smallest table that holds all usable pixels."""
    num_values, num_classes = int(values[usable].max()) + 1, int(truth[usable].max()) + 1
    if num_classes > MAX_CLASSES:
        raise LabelError(
            f"{label_path}: holds the label {num_classes - 1}; expected class numbers below "
            f"{MAX_CLASSES}. If it means no label, name it with --ignore_label."
        )
    return num_values, num_classes


class _Thumbnails:
    """Keeps every n-th row and column of a map and its labels, window by window."""

    def __init__(self, shape: Shape) -> None:
        self.step = math.ceil(max(shape) / _PICTURE_SIDE)
        small = (math.ceil(shape[0] / self.step), math.ceil(shape[1] / self.step))
        self.picture = Picture(np.full(small, -1, np.int32), np.full(small, -1, np.int32))

    def add(self, window: Window, values: IntArray, truth: IntArray) -> None:
        """Keep the pixels of one window that the thumbnails show."""
        # the first row and column of the window whose number in the map divides by the step
        top, left = -window.row % self.step, -window.col % self.step
        for target, source in ((self.picture.predicted, values), (self.picture.truth, truth)):
            thinned = source[top :: self.step, left :: self.step]
            row, col = (window.row + top) // self.step, (window.col + left) // self.step
            target[row : row + thinned.shape[0], col : col + thinned.shape[1]] = thinned
