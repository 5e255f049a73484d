"""Cut a chunk of windows of one raster into patches, in one process."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from clusternet.labels.reading import RasterLabels
from clusternet.legend.inventory import LabelInventory
from clusternet.locations import SourcePath
from clusternet.patches.patch_files import patch_name, save_patch
from clusternet.processes.interrupts import interrupts
from clusternet.raster import open_raster
from clusternet.settings import TilingSettings
from clusternet.tiling.inputs import TilingInput, TilingPair
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Grid, Shape, Window, centre

ONLY_NODATA = "with nothing but nodata"
"""Reason for a window without a patch that holds for all settings."""
_CHUNK_WINDOWS = 64  # windows in a chunk: the progress bar moves after each chunk
# Formats without blocks: GDAL decodes all rows above a window to read it. So each process gets
# one large chunk of such a file.
_SEQUENTIAL = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Layer:
    """One output folder: of patches, of their centre crops, or of label patches."""

    folder: Path
    shape: Shape
    """(rows, cols) of its patches."""
    of_labels: bool = False

    def item(self, pair: TilingPair) -> TilingInput | None:
        """Return the raster or label raster that the patches of this folder are cut from."""
        return pair.label if self.of_labels else pair.raster

    def file(self, item: TilingInput, window: Window) -> str:
        """Return the file name, the same in all layers but for the suffix."""
        name = patch_name(window, item.profile.shape, item.patch_format.suffix)
        return f"{item.name}/{name}"


@dataclass(frozen=True)
class Chunk:
    """Some windows of one raster, which a process cuts in one go."""

    pair: TilingPair
    windows: Grid
    layers: list[Layer]
    settings: TilingSettings
    aoi: Path | None = None
    """File of polygons; pixels outside are nodata."""
    known: frozenset[Window] | None = None
    """The windows whose patches exist already: only their labels are cut. None cuts all."""

    def __str__(self) -> str:
        """Name the raster and the first window, for messages."""
        first = next(iter(self.windows))
        return f"{self.pair.raster.source}, window at row {first.row}, column {first.col}"


@dataclass
class Outcome:
    """The result of cutting some windows of one raster."""

    kept: list[Window] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    num_infinite: int = 0
    """Infinite values, which count as no data."""
    labels: LabelInventory = field(default_factory=LabelInventory)
    """Labels by class, including those of windows that give no patch."""

    def add(self, other: Outcome) -> None:
        """Add the result of cutting some more windows."""
        self.kept += other.kept
        self.skipped += other.skipped
        self.num_infinite += other.num_infinite
        self.labels.merge(other.labels)


def split_windows(windows: Grid, path: Path, shares: int) -> Iterator[Grid]:
    """Yield chunks of whole grid rows: windows side by side lie in the same blocks of the file."""
    size = max(1, _CHUNK_WINDOWS // max(1, len(windows.cols)))
    # Blocks that two chunks share would be sent twice over the network.
    if path.suffix.lower() in _SEQUENTIAL or isinstance(path, SourcePath):
        size = max(1, math.ceil(len(windows.rows) / shares))
    return windows.parts(size)


def cut_chunk(chunk: Chunk) -> Outcome:
    """Cut the windows of a chunk and write their patches in all layers."""
    return _cut_all(chunk) if chunk.known is None else _cut_labels(chunk, chunk.known)


def _cut_labels(chunk: Chunk, known: frozenset[Window]) -> Outcome:
    """Cut label patches beside patches that exist, without reading the raster."""
    outcome = Outcome()
    with _open_label(chunk.pair, outcome.labels) as label:
        for window in chunk.windows:
            interrupts.check()
            for layer in chunk.layers:
                if window in known and layer.of_labels:
                    crop = centre(window, layer.shape)
                    _save_labels(layer, chunk.pair, label, window, crop, outcome.labels)
            if window not in known and label is not None:
                label.read(window)  # counts their labels in the inventory
    return outcome


def _cut_all(chunk: Chunk) -> Outcome:
    pair, settings = chunk.pair, chunk.settings
    outcome = Outcome()
    choice = replace(settings.nodata_choice, aoi=chunk.aoi)
    with (
        open_raster(pair.raster.path, choice) as raster,
        _open_label(pair, outcome.labels) as label,
    ):
        raster.arrange(pair.raster.arrangement)
        for window in chunk.windows:
            interrupts.check()
            pixels, valid = raster.read(window)
            reason = _reason_to_skip(window, valid, pair.raster.profile.shape, settings)
            if reason:
                outcome.skipped[reason] += 1
                if label is not None:
                    label.read(window)  # counts their labels in the inventory
                continue
            outcome.kept.append(window)
            for layer in chunk.layers:
                crop = centre(window, layer.shape)
                if layer.of_labels:
                    _save_labels(layer, pair, label, window, crop, outcome.labels)
                else:
                    inside = crop.slices((window.row, window.col))
                    _save(layer, pair.raster, window, crop, pixels[inside], valid[inside])
        outcome.num_infinite = raster.num_infinite
    return outcome


def _save_labels(
    layer: Layer,
    pair: TilingPair,
    label: RasterLabels | None,
    window: Window,
    crop: Window,
    inventory: LabelInventory,
) -> None:
    if label is None or pair.label is None:
        return
    labels, known = label.read(crop)
    inventory.add_used(labels[known])
    profile = pair.label.profile
    classes = np.full(labels.shape, profile.nodata, profile.dtype)
    classes[known] = labels[known]
    _save(layer, pair.label, window, crop, classes[..., np.newaxis], known)


def _save(
    layer: Layer,
    item: TilingInput,
    window: Window,
    crop: Window,
    pixels: AnyArray,
    valid: BoolArray,
) -> None:
    path = layer.folder / layer.file(item, window)
    save_patch(path, pixels, valid, item.patch_format, item.profile, crop)


@contextmanager
def _open_label(pair: TilingPair, inventory: LabelInventory) -> Iterator[RasterLabels | None]:
    if pair.label is None or pair.label_rules is None:
        yield None
        return
    with open_raster(pair.label.path, codes=True) as raster:
        yield RasterLabels(raster, replace(pair.label_rules, inventory=inventory))


def _reason_to_skip(
    window: Window, valid: BoolArray, shape: Shape, settings: TilingSettings
) -> str | None:
    """Return the reason why a window gives no patch; None if it gives one.

    Padding beyond the raster does not count as nodata.
    """
    on_raster = valid[window.inside(shape).slices((window.row, window.col))]
    # padding depends on the size of the raster, and says nothing about the quality of a patch
    num_nodata = on_raster.size - int(on_raster.sum())
    if num_nodata == on_raster.size:
        return ONLY_NODATA
    if num_nodata / on_raster.size > settings.keep_dark_region_ratio:
        return f"with more than {100 * settings.keep_dark_region_ratio:g} % nodata"
    return None
