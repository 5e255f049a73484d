"""Labels from rasters and vectors, read window by window on the grid of a map.

Rasters on the map's grid are read unchanged, rasters on another grid are resampled (nearest
neighbour), and vectors are rasterised. All give the same interface, `Labels`. Classes have the
common numbers of all files of the command. The inventory counts how many labels are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from clusternet.errors import LabelError
from clusternet.labels.rules import UNLABELLED, LabelRules
from clusternet.legend.common_classes import Renumbering
from clusternet.legend.inventory import LabelInventory
from clusternet.legend.land_classes import MAX_CLASS
from clusternet.nodata import Number, declaring_hint
from clusternet.raster.alignment import (
    Readable,
    boxes_meet,
    on_same_grid,
    warped_onto,
    window_around,
)
from clusternet.raster.burning import NO_LABEL, BurntLabels
from clusternet.raster.categories import check_lossless
from clusternet.raster.endings import is_vector
from clusternet.raster.opening import open_raster
from clusternet.raster.profile import RasterProfile
from clusternet.raster.reading import Raster
from clusternet.raster.shapes import Shapes, read_shapes
from clusternet.types import AnyArray, BoolArray, IntArray
from clusternet.windows import Window, blocks

__all__ = ["NO_LABEL", "Labels", "RasterLabels", "is_class_value", "open_labels_onto"]

_NOTED_WINDOW = (2048, 2048)
_MOST_NOTED = 100_000_000  # label pixels around a map that are searched at most: some seconds


class Labels(Protocol):
    """Labels on the grid of a map."""

    path: Path
    """The file that they come from."""
    overlaps: bool
    """False if no label can lie on the map."""

    def read(self, window: Window) -> tuple[IntArray, BoolArray]:
        """Read a window of the map: labels (rows, cols), NO_LABEL where there is none, and
        valid (rows, cols), True where there is a label.
        """


@contextmanager
def open_labels_onto(
    path: Path, grid: RasterProfile, rules: LabelRules | None = None
) -> Iterator[Labels]:
    """Open labels, raster or vector, to be read on the grid of a map.

    Args:
        path: raster of class numbers, or vectors (by suffix).
        grid: the map's profile.
        rules: how all label files of the command are read; None for a single file.

    Raises:
        GridMismatchError: if the labels cannot be placed on the map: only one of the two has a
            CRS, or neither has and their sizes differ.
        LabelError: if the file holds no labels, or values that are no class numbers.
        RasterError: if a raster cannot be read.
    """
    rules = rules or LabelRules()
    options = rules.options
    if is_vector(path):
        burnt = BurntLabels(
            _read_once(path, rules), grid, unlabelled=options.ignore_label,
            background=options.background,
            lacking=rules.common.classes.no_classes, inventory=rules.inventory,
        )  # fmt: skip
        yield burnt
        burnt.finish()
        return
    if path not in rules.common.statements:  # else `settle_labels` has checked it
        check_lossless(path)
    with open_raster(path, codes=True) as raster:
        profile = raster.profile
        if profile.num_bands != 1:
            raise LabelError(
                f"{path}: expected one band of class numbers, found {profile.num_bands} bands; "
                "is this an image, or a coloured picture of labels?"
            )
        if on_same_grid(profile, grid):
            yield RasterLabels(raster, rules)
            return
        with warped_onto(profile, grid) as view:
            yield RasterLabels(view, rules, file=profile, overlaps=boxes_meet(profile, grid))
        _note_classes(raster, window_around(profile, grid), rules)


def _note_classes(raster: Raster, around: Window, rules: LabelRules) -> None:
    """Add to the inventory the classes of a label raster, on its own grid, around a map.

    Small objects may lie between the pixel centres of the map. Their classes are lost by
    resampling, which the inventory can only report if it knows them.
    """
    if around.height * around.width > _MOST_NOTED:
        return
    labels = RasterLabels(raster, replace(rules, inventory=LabelInventory()))
    for block in blocks(around.shape, _NOTED_WINDOW):
        values, valid = labels.read(
            Window(around.row + block.row, around.col + block.col, *block.shape)
        )
        rules.inventory.known.update(np.unique(values[valid]).tolist())


def _read_once(path: Path, rules: LabelRules) -> Shapes:
    """Return the shapes of a vector file; the last one is cached, as many maps may share it."""
    options, common = rules.options, rules.common
    if path not in rules.shapes:
        rules.shapes.clear()
        rules.shapes[path] = read_shapes(
            path, class_field=options.class_field, layer=options.layer,
            classes=common if path in common.statements else options.classes,
        )  # fmt: skip
    return rules.shapes[path]


class RasterLabels:
    """Labels from a raster on the map's grid, or from a view resampled to that grid."""

    def __init__(
        self,
        raster: Readable,
        rules: LabelRules | None = None,
        *,
        file: RasterProfile | None = None,
        overlaps: bool = True,
    ) -> None:
        """Wrap an open raster; for a resampled view, ``file`` is the profile of its file."""
        rules = rules or LabelRules()
        profile = file or raster.profile
        self.path = profile.path
        self.overlaps = overlaps
        self._raster = raster
        self._nodata = profile.nodata
        # GDAL masks a warped view by the mask of its file if there is one, and then ignores the
        # nodata value. So pixels of that value are left out here.
        self._hidden_nodata = None
        if file is not None and file.nodata is not None:
            self._hidden_nodata = np.asarray(file.nodata).astype(file.dtype)
        self._renumbering = rules.common.renumbering(self.path)
        self._no_classes = rules.common.classes.no_classes
        self._inventory = rules.inventory
        self._is_mask = rules.is_mask
        self._unlabelled = rules.options.ignore_label
        self._by_convention = (
            self._unlabelled is None
            and profile.dtype == "uint8"
            and not rules.is_mask
            and not is_class_value(UNLABELLED, self._renumbering)
        )

    def read(self, window: Window) -> tuple[IntArray, BoolArray]:
        """See `Labels.read`."""
        pixels, valid = self._raster.read(window)
        values = pixels[..., 0]
        if self._hidden_nodata is not None:
            valid &= values != self._hidden_nodata
        if self._unlabelled is not None:
            valid &= values != self._unlabelled
        if self._by_convention:
            marked = valid & (values == UNLABELLED)
            self._inventory.add_undeclared(self.path, int(marked.sum()))
            valid &= ~marked
        labels = np.full(window.shape, NO_LABEL, np.int32)
        labels[valid] = self._common_numbers(values[valid])
        for number, name in self._no_classes.items():
            lacking = labels == number
            self._inventory.add_lacking(name, int(lacking.sum()))
            labels[lacking] = NO_LABEL
        valid = labels != NO_LABEL
        self._inventory.add_read(labels[valid])
        return labels, valid

    def _common_numbers(self, values: AnyArray) -> IntArray:
        if not values.size:
            return values.astype(np.int32)
        _check_class_numbers(self.path, values, self._nodata)
        numbers = values.astype(np.int32)
        if self._is_mask:
            numbers = np.minimum(numbers, 1)
        return self._renumbering.apply(numbers)


def is_class_value(value: int, renumbering: Renumbering) -> bool:
    """Tell whether a value of a file is a class: the file names it, or the user lists it."""
    return value in renumbering.changes or (
        renumbering.shares_numbers and value in (renumbering.listed or ())
    )


def _check_class_numbers(path: Path, values: AnyArray, nodata: Number | None) -> None:
    fractions = values[values % 1 != 0] if values.dtype.kind == "f" else values[:0]
    if fractions.size:
        raise LabelError(
            f"{path}: holds the value {fractions[0]:g}; expected whole class numbers. "
            "Are these measurements, or labels resampled by averaging (take nearest neighbours)?"
        )
    for value in (values.min(), values.max()):
        if not 0 <= value <= MAX_CLASS:
            raise LabelError(
                f"{path}: holds the label {int(value)}; expected 0 to {MAX_CLASS}. If it means "
                f"no label, {declaring_hint(path, int(value), nodata)}."
            )
