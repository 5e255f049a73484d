"""The labels of scenes, cut like the patches of these scenes. No network library is loaded here."""

from __future__ import annotations

import hashlib
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from clusternet.errors import GridMismatchError, LabelError
from clusternet.labels.files import settle_labels
from clusternet.labels.origins import Origin, origins_of
from clusternet.labels.pairing import labels_of_scenes
from clusternet.labels.reading import Labels, open_labels_onto
from clusternet.labels.rules import LabelOptions, LabelRules
from clusternet.legend.inventory import DRAW_LARGER
from clusternet.legend.land_classes import LandClass, make_classes
from clusternet.patches.manifest import (
    MANIFEST_NAME,
    Manifest,
    PatchEntry,
    PatchSource,
    read_manifest,
)
from clusternet.processes.interrupts import interrupts
from clusternet.raster import RasterProfile
from clusternet.raster.categories import read_categories
from clusternet.raster.crs import crs_of_text
from clusternet.raster.endings import is_vector
from clusternet.types import IntArray
from clusternet.windows import Shape, Window

IGNORE = -1
"""The column of a pixel without a label."""
_MASK_ADVICE = "if 255 means no label there, give --ignore_label 255"


@dataclass(frozen=True)
class PatchLabels:
    """The labels of patches. Classes are numbered from 0 on; such a number is called a column."""

    classes: tuple[LandClass, ...]
    """The class of each column, in ascending order of their numbers."""
    shape: Shape
    """(rows, cols) of a patch."""
    counts: Mapping[str, NDArray[np.int64]]
    """Patch file -> (classes,) its labelled pixels of each class; patches without labels are left
    out. A file is named as in ``patches.json``."""
    _packed: Mapping[str, bytes]
    origins: tuple[Origin, ...] = ()
    """The label files, with absolute paths."""

    def read(self, file: str) -> IntArray:
        """Return the columns of a patch's pixels (rows, cols), `IGNORE` where there is no label."""
        if file not in self._packed:
            return np.full(self.shape, IGNORE, np.int32)
        return _unpacked(self._packed[file]).reshape(self.shape).astype(np.int32)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(classes,) share of each class among labelled pixels."""
        total = np.sum(list(self.counts.values()), axis=0)
        return np.asarray(total / total.sum(), np.float64)

    @property
    def digest(self) -> str:
        """A text that differs for other labels or other classes."""
        found = hashlib.sha256(repr(self.classes).encode())
        for file, packed in sorted(self._packed.items()):
            found.update(file.encode(errors="surrogateescape"))
            found.update(_unpacked(packed).tobytes())
        return found.hexdigest()[:32]


def read_patch_labels(
    patches: Path, labels: Path, options: LabelOptions | None = None
) -> PatchLabels:
    """Read the labels of the scenes that patches were cut from, window by window.

    Args:
        patches: folder of patches with its ``patches.json``, which says where each patch lies. The
            scenes themselves are not read.
        labels: label raster or vector file for all scenes, or a folder of such files that are
            named like the scenes.
        options: how labels are read.

    Raises:
        PatchError: if ``patches.json`` cannot be read.
        LabelError: if a file cannot serve as labels, no label lies on a patch, or all labels are of
            one class.
        GridMismatchError: if labels cannot be laid over a scene.
    """
    manifest = read_manifest(patches)
    if manifest is None:
        raise LabelError(
            f"{patches / MANIFEST_NAME}: missing; --labels needs it to know where each patch lies. "
            "Cut the patches with tools/patch_generator.py."
        )
    scenes = {Path(raster.source): raster.name for raster in manifest.rasters}
    pairs = labels_of_scenes(list(scenes), labels)
    if not pairs:
        names = ", ".join(sorted(path.name for path in scenes)[:3])
        raise LabelError(
            f"{labels}: no label file is named like one of the {len(scenes)} scene(s) of {patches} "
            f"({names}); expected, for a.tif, a.png or a_mask.tif."
        )
    rules = settle_labels(pairs.values(), options, advice=_MASK_ADVICE)
    numbers = _read_numbers(manifest, pairs, rules)
    rules.inventory.used = rules.inventory.read
    if not numbers:
        why = rules.inventory.why_none()
        raise LabelError(
            f"{labels}: no labelled pixel lies on a patch of {patches}"
            + (f": {why}." if why else ".")
        )
    rules.inventory.report(advice=DRAW_LARGER)
    found = _in_columns(numbers, manifest.patch_shape, _classes(numbers, pairs, rules), labels)
    return replace(found, origins=tuple(origins_of(pairs.values())))


def _read_numbers(
    manifest: Manifest, pairs: Mapping[Path, Path], rules: LabelRules
) -> dict[str, bytes]:
    """Return the packed class numbers of each patch that has any."""
    of_raster: dict[str, list[PatchEntry]] = defaultdict(list)
    for entry in manifest.patches:
        of_raster[entry.raster].append(entry)
    found, overlapping = {}, 0
    for raster in manifest.rasters:
        label = pairs.get(Path(raster.source))
        if label is None:
            continue
        with open_labels_onto(label, _grid(raster), rules) as opened:
            overlapping += opened.overlaps
            for entry in of_raster[raster.name] if opened.overlaps else ():
                interrupts.check()
                numbers = _read_window(opened, entry.window, raster.shape)
                if (numbers != IGNORE).any():
                    found[entry.file] = _packed(numbers)
    if not overlapping:
        raise GridMismatchError(
            f"{next(iter(pairs.values()))}: overlaps no scene that the patches were cut from"
            + (f", nor does any other of {len(pairs)} label files" if len(pairs) > 1 else "")
            + "; is the CRS of both stated correctly?"
        )
    return found


def _grid(raster: PatchSource) -> RasterProfile:
    """Return the profile of a scene; the scene itself need not be there any more."""
    return RasterProfile(
        Path(raster.source), raster.shape, raster.num_bands, raster.dtype,
        crs=None if raster.crs is None else crs_of_text(raster.crs),
        transform=Affine(*raster.transform), nodata=raster.nodata, has_mask=raster.has_mask,
        bands=raster.identity, control=raster.control,
    )  # fmt: skip


def _read_window(labels: Labels, window: Window, shape: Shape) -> IntArray:
    """Return the class numbers under a patch, `IGNORE` beyond the raster of that shape."""
    numbers = np.full(window.shape, IGNORE, np.int32)
    height = min(window.row + window.height, shape[0]) - window.row
    width = min(window.col + window.width, shape[1]) - window.col
    values, valid = labels.read(Window(window.row, window.col, height, width))
    numbers[:height, :width] = np.where(valid, values, IGNORE)
    return numbers


def _classes(
    numbers: Mapping[str, bytes], pairs: Mapping[Path, Path], rules: LabelRules
) -> tuple[LandClass, ...]:
    """Return the classes that have labels, with the names and colours that files or users state."""
    present = set[int]()
    for packed in numbers.values():
        present |= set(np.unique(_unpacked(packed)).tolist())
    present -= {IGNORE}
    common = rules.common.classes
    colours = dict(common.colours)
    if not colours:
        for path in sorted({path for path in pairs.values() if not is_vector(path)}):
            onto = rules.common.renumbering(path)
            known = {number: number for number in present} if onto.shares_numbers else {}
            known |= onto.changes
            for number, colour in read_categories(path)[1].items():
                if number in known:
                    colours.setdefault(known[number], colour)
    classes = make_classes({*present, *common.names}, common.names, colours)
    return tuple(classes[number] for number in sorted(present))


def _in_columns(
    numbers: Mapping[str, bytes], shape: Shape, classes: tuple[LandClass, ...], labels: Path
) -> PatchLabels:
    if len(classes) < 2:
        raise LabelError(
            f"{labels}: expected labels of two classes or more on the patches, found only "
            f"'{classes[0].name}'."
        )
    order = np.array([land_class.number for land_class in classes])
    packed, counts = {}, {}
    for file, values in numbers.items():
        known = _unpacked(values)
        columns = np.where(known == IGNORE, IGNORE, np.searchsorted(order, known)).astype(np.int32)
        packed[file] = _packed(columns)
        counts[file] = np.bincount(columns[columns >= 0], minlength=len(order))
    return PatchLabels(classes, shape, counts, packed)


def _packed(values: IntArray) -> bytes:
    """Return whole numbers compressed: labels are large areas of one number, or none."""
    return zlib.compress(values.astype(np.int32).tobytes(), 1)


def _unpacked(packed: bytes) -> IntArray:
    return np.frombuffer(zlib.decompress(packed), np.int32)
