"""Rasterise vector labels (points, lines, polygons), window by window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clusternet.errors import GridMismatchError, LabelError
from clusternet.files.locks import claimed
from clusternet.files.outputs import KIND_TAG, check_apart, check_writable
from clusternet.labels.rules import check_background
from clusternet.legend.class_list import ClassList
from clusternet.legend.familiar import class_colours
from clusternet.legend.inventory import Fate, LabelInventory
from clusternet.processes.interrupts import interrupts
from clusternet.processes.progress import Progress
from clusternet.raster.burning import BurntLabels
from clusternet.raster.finding import one_scene
from clusternet.raster.map_files import check_new_map
from clusternet.raster.opening import open_raster
from clusternet.raster.orientation import warn_of_orientation
from clusternet.raster.profile import RasterProfile
from clusternet.raster.shape_classes import check_number
from clusternet.raster.shapes import Shapes, read_shapes
from clusternet.raster.writing import MapForm, create_map
from clusternet.scene_rule import EACH_FILE
from clusternet.types import IntArray, UInt8Array
from clusternet.windows import blocks

_WINDOW = (2048, 2048)
_ADVICE = "--all_touched labels every pixel that a shape touches"


@dataclass(frozen=True)
class LabelRaster:
    """The summary of a label raster that `rasterize_labels` wrote."""

    path: Path
    """The label raster."""
    counts: dict[int, int]
    """Pixels of each class."""
    names: dict[int, str]
    """The name of each class, if the vectors have class names."""
    share: float
    """Share of the raster's pixels that have a label."""

    @classmethod
    def of(cls, path: Path, inventory: LabelInventory, grid: RasterProfile) -> LabelRaster:
        """Return the summary of a label raster from the counts of its inventory."""
        counts = dict(sorted(inventory.read.items()))
        share = sum(counts.values()) / (grid.shape[0] * grid.shape[1])
        return cls(path, counts, dict(inventory.names), share)

    def __str__(self) -> str:
        """Return one line about the result."""
        counts = [f"{self.names.get(c, f'class {c}')} {n:,} px" for c, n in self.counts.items()]
        return f"{self.path}: {self.share:.2%} of the pixels labelled ({', '.join(counts)})"


@interrupts.listening()
def rasterize_labels(
    vectors: Path,
    reference: Path,
    output: Path,
    *,
    classes: ClassList | None = None,
    class_field: str | None = None,
    burn_value: int | None = None,
    layer: str | None = None,
    order_field: str | None = None,
    background: int | None = None,
    all_touched: bool = False,
    overwrite: bool = False,
) -> LabelRaster:
    """Burn labels drawn as points, lines or polygons into a raster on the grid of another one.

    Args:
        vectors: shapefile, GeoPackage or GeoJSON in any CRS.
        reference: the raster whose size, CRS and transform the labels get, or a list of this one.
        output: the GeoTIFF to write, 8-bit up to class 254, else 16-bit.
        classes: number, name and colour of the classes that shapes may have; None numbers names
            in alphabetical order.
        class_field: see `clusternet.raster.shapes.read_shapes`.
        burn_value: give all shapes this class instead.
        layer: of the vector file.
        order_field: burn in ascending order of this field; later shapes lie on top. None keeps
            the order of the file.
        background: class of pixels under no shape; None leaves them unlabelled (nodata).
        all_touched: label every pixel that a shape touches, not only those whose centre it
            covers.
        overwrite: replace an existing output.

    Raises:
        LabelError: if the vectors or their classes cannot be used.
        GridMismatchError: if the vectors cannot be laid over the reference, or miss it.
    """
    classes = classes or ClassList()
    check_apart((output,), (vectors, reference, classes.source))
    with claimed(output):
        check_new_map(output, "labels", overwrite=overwrite)
        check_writable(output)
        check_background(background, classes)
        if burn_value is not None:
            check_number(vectors, burn_value)
        grid = _grid(one_scene(reference, EACH_FILE))
        reserved = () if background is None else (background,)
        shapes = read_shapes(
            vectors, class_field=class_field, layer=layer, order_field=order_field,
            burn_value=burn_value, classes=classes, reserved=reserved,
        )  # fmt: skip
        known = {*classes.names, *shapes.stated}
        inventory = LabelInventory({**classes.names, **shapes.names}, known)
        labels = BurntLabels(
            shapes, grid, background=background, all_touched=all_touched, inventory=inventory
        )
        _burn(labels, shapes, classes, inventory, output, background, overwrite)
        inventory.used = inventory.read
        inventory.report(advice="" if all_touched else _ADVICE)
    return LabelRaster.of(output, inventory, grid)


def _grid(reference: Path) -> RasterProfile:
    warn_of_orientation([reference])
    with open_raster(reference, codes=True) as raster:
        return raster.profile


def _burn(
    labels: BurntLabels,
    shapes: Shapes,
    classes: ClassList,
    inventory: LabelInventory,
    output: Path,
    background: int | None,
    overwrite: bool,
) -> None:
    """Write the labels; GridMismatchError if no shape lies there, LabelError if none gives one."""
    grid = labels.grid
    if not labels.overlaps:
        raise GridMismatchError(
            f"{shapes.path}: none of its {len(set(shapes.rows.tolist()))} shapes lies on "
            f"{grid.path}; is the CRS of both stated correctly?"
        )
    # The pixel type must be known before the first pixel is burnt: it follows from all classes of
    # the file, whether or not a shape of each lies on the raster.
    present = np.union1d(shapes.classes, [] if background is None else [background]).astype(int)
    highest = int(present.max())
    dtype, nodata = map_type(highest)
    known = {**classes.names, **shapes.names}
    names = [known.get(n, "") if n in present else "" for n in range(highest + 1)]
    form = MapForm(
        dtype,
        nodata=nodata,
        colours=colour_table(present, classes, known),
        names=names if any(names) else None,
        tags={KIND_TAG: "labels"},
    )
    with create_map(output, grid, form, overwrite=overwrite) as target:
        with Progress(total=grid.shape[0] * grid.shape[1], unit="px", unit_scale=True) as bar:
            for window in blocks(grid.shape, _WINDOW):
                values, valid = labels.read(window)
                target.write(window, np.where(valid, values, nodata).astype(dtype))
                bar.update(values.size)
        labels.finish()
        _check_any(labels, inventory)


def _check_any(labels: BurntLabels, inventory: LabelInventory) -> None:
    """Raise LabelError if no shape gives a label."""
    if not inventory.num_shapes(Fate.USED):
        what, lost = inventory.why_none(), inventory.num_shapes(Fate.NO_CENTRE)
        raise LabelError(
            f"{labels.path}: no shape gives a label on {labels.grid.path}: {what}"
            + (f"; {_ADVICE}." if lost else ".")
        )


def map_type(highest: int) -> tuple[str, int]:
    """Return the smallest pixel type that holds class numbers, and its nodata value."""
    return ("uint8", 255) if highest < 255 else ("uint16", 65535)


def colour_table(numbers: IntArray, classes: ClassList, names: Mapping[int, str]) -> UInt8Array:
    """Return the colour of each class number that occurs, from the class list or else a default.

    Returns:
        (highest number + 1, 3) uint8 RGB; black for numbers that do not occur.
    """
    table = np.zeros((int(numbers.max()) + 1, 3), np.uint8)
    known = {number: names.get(number, f"class {number}") for number in numbers.tolist()}
    for number, colour in class_colours(known, classes.colours).items():
        table[number] = colour
    return table
