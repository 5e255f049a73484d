"""From shapes to label rasters and from class maps to polygons, window by window."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes as outlines
from rasterio.features import sieve as sieve_array
from shapely.geometry import shape as to_geometry

from clusternet.class_list import ClassList
from clusternet.colours import palette
from clusternet.errors import GridMismatchError, LabelError
from clusternet.files import KIND_TAG, check_apart, check_writable
from clusternet.interrupts import interrupts
from clusternet.label_inventory import Fate, LabelInventory
from clusternet.label_rules import check_background
from clusternet.locks import claimed
from clusternet.progress import Progress
from clusternet.raster.burning import BurntLabels
from clusternet.raster.map_files import check_new_map
from clusternet.raster.opening import open_raster
from clusternet.raster.orientation import warn_of_orientation
from clusternet.raster.profile import RasterProfile
from clusternet.raster.reading import Raster
from clusternet.raster.writing import create_map
from clusternet.types import AnyArray, BoolArray, IntArray, UInt8Array
from clusternet.vectors import Shapes, read_shapes
from clusternet.waiting import run_aside
from clusternet.windows import Window, blocks

logger = logging.getLogger(__name__)

_WINDOW = (2048, 2048)
_ADVICE = "--all_touched labels every pixel that a shape touches"
_WHOLE_MAP_PIXELS = 100_000_000  # a map of this size is polygonised in one piece: a few GB
_POLYGON_WINDOW = (8192, 8192)


@dataclass(frozen=True)
class LabelRaster:
    """What `rasterize_labels` wrote."""

    path: Path
    """The label raster."""
    counts: dict[int, int]
    """Pixels of each class."""
    names: dict[int, str]
    """The name of each class, where the vectors state names."""
    share: float
    """Share of the raster's pixels that have a label."""

    def __str__(self) -> str:
        """Return one line about the result."""
        parts = [f"{self.names.get(c, f'class {c}')} {n:,} px" for c, n in self.counts.items()]
        return f"{self.path}: {self.share:.2%} of the pixels labelled ({', '.join(parts)})"


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
        reference: the raster whose size, CRS and transform the labels get.
        output: the GeoTIFF to write, 8-bit up to class 254, else 16-bit.
        classes: number, name and colour of the classes that shapes may have; None numbers names
            in alphabetical order.
        class_field: see `clusternet.vectors.read_shapes`.
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
        reserved = () if background is None else (background,)
        shapes = read_shapes(
            vectors, class_field=class_field, layer=layer, order_field=order_field,
            burn_value=burn_value, classes=classes, reserved=reserved,
        )  # fmt: skip
        warn_of_orientation([reference])
        with open_raster(reference, codes=True) as raster:
            grid = raster.profile
        known = {*classes.names, *shapes.stated}
        inventory = LabelInventory({**classes.names, **shapes.names}, known)
        labels = BurntLabels(
            shapes, grid, background=background, all_touched=all_touched, inventory=inventory
        )
        if not labels.overlaps:
            raise GridMismatchError(
                f"{vectors}: none of its {len(set(shapes.rows.tolist()))} shapes lies on "
                f"{reference}; is the CRS of both stated correctly?"
            )
        _burn(labels, shapes, classes, inventory, output, background, overwrite)
        inventory.used = inventory.read
        inventory.report(advice="" if all_touched else _ADVICE)
        found = dict(sorted(inventory.read.items()))
        return LabelRaster(
            output,
            found,
            dict(inventory.names),
            sum(found.values()) / (grid.shape[0] * grid.shape[1]),
        )


def _burn(
    labels: BurntLabels,
    shapes: Shapes,
    classes: ClassList,
    inventory: LabelInventory,
    output: Path,
    background: int | None,
    overwrite: bool,
) -> None:
    """Write the labels; LabelError if no shape gives one."""
    grid = labels.grid
    present = np.union1d(shapes.classes, [] if background is None else [background]).astype(int)
    highest = int(present.max())
    dtype, nodata = map_type(highest)
    known = {**classes.names, **shapes.names}
    names = [known.get(n, "") if n in present else "" for n in range(highest + 1)]
    with create_map(
        output, grid, dtype=dtype, nodata=nodata, colours=colour_table(present, classes),
        names=names if any(names) else None, tags={KIND_TAG: "labels"},
        overwrite=overwrite,
    ) as target:  # fmt: skip
        with Progress(total=grid.shape[0] * grid.shape[1], unit="px") as bar:
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


def colour_table(numbers: IntArray, classes: ClassList) -> UInt8Array:
    """Return a colour for each class number that occurs, that of the list if it has one;
    (highest + 1, 3).
    """
    table = np.zeros((int(numbers.max()) + 1, 3), np.uint8)
    table[numbers] = palette(len(numbers))
    for number in set(numbers.tolist()) & classes.colours.keys():
        table[number] = classes.colours[number]
    return table


@dataclass(frozen=True)
class Polygons:
    """Polygons of one window of a class map."""

    geometries: AnyArray
    """(polygons,) shapely polygons, in the map's CRS."""
    classes: IntArray
    """(polygons,) class of each."""
    area_ha: NDArray[np.float64] | None
    """(polygons,) hectares; None unless the CRS is projected."""

    def split(self, size: int) -> Iterator[Polygons]:
        """Yield parts of so many polygons at most; an empty one if there is none."""
        for first in range(0, max(len(self.classes), 1), size):
            place = slice(first, first + size)
            hectares = None if self.area_ha is None else self.area_ha[place]
            yield Polygons(self.geometries[place], self.classes[place], hectares)


def polygonise(
    path: Path, *, sieve: int = 0, min_area: int = 0, simplify: float = 0.0
) -> Iterator[Polygons]:
    """Turn the patches of equal class of a map into polygons.

    Maps above 100 million pixels are cut into windows, and polygons with them.

    Args:
        path: a class map; nodata gives no polygon.
        sieve: patches of fewer pixels first take the class of their largest neighbour.
        min_area: polygons of fewer pixels are left out.
        simplify: tolerance in pixels; borders between polygons stay common.
    """
    with open_raster(path, codes=True) as raster:
        rows, cols = raster.profile.shape
        whole = rows * cols <= _WHOLE_MAP_PIXELS
        if not whole:
            logger.warning(
                "%s: polygons are cut at the borders of windows of %d x %d pixels, because the "
                "map is too large for one piece.", path, *_POLYGON_WINDOW,
            )  # fmt: skip
        for window in blocks((rows, cols), (rows, cols) if whole else _POLYGON_WINDOW):
            yield _polygonise_window(raster, window, sieve, min_area, simplify, whole)


def _polygonise_window(
    raster: Raster, window: Window, sieve: int, min_area: int, simplify: float, whole: bool
) -> Polygons:
    pixels, valid = raster.read(window)
    geometries, classes = run_aside(
        partial(_outline, pixels[..., 0], valid, sieve, min_area, simplify, whole)
    )
    hectares = raster.profile.pixel_area_ha
    return Polygons(
        geometries=_to_coordinates(geometries, raster.profile, window),
        classes=classes,
        area_ha=None if hectares is None else np.asarray(shapely.area(geometries)) * hectares,
    )


def _outline(
    values: AnyArray, valid: BoolArray, sieve: int, min_area: int, simplify: float, whole: bool
) -> tuple[AnyArray, IntArray]:
    """Return polygons (polygons,) in columns and rows, and the class of each (polygons,)."""
    if sieve > 1:
        values = sieve_array(values, sieve, mask=valid, connectivity=4)
    found = list(outlines(values, mask=valid, connectivity=4))
    geometries = np.array([to_geometry(outline) for outline, _ in found], object)
    classes = np.array([value for _, value in found], np.int32)
    large = np.asarray(shapely.area(geometries)) >= min_area
    if simplify > 0 and len(geometries):
        # Before small ones go, so that their neighbours' borders are simplified all the same;
        # at the cut of a window borders stay as they are, to fit the next window's.
        geometries = shapely.coverage_simplify(geometries, simplify, simplify_boundary=whole)
    return shapely.make_valid(geometries[large]), classes[large]


def _to_coordinates(geometries: AnyArray, grid: RasterProfile, window: Window) -> AnyArray:
    """Move geometries from (col, row) of a window to the coordinates of the raster."""
    place = grid.window_transform(window)
    if not grid.is_georeferenced:
        # GIS programs draw a raster without georeference downwards from y = 0
        place = Affine.scale(1, -1) @ place
    matrix = np.array([[place.a, place.b], [place.d, place.e]])
    shift = np.array([place.c, place.f])
    moved: AnyArray = shapely.transform(geometries, lambda xy: xy @ matrix.T + shift)
    return moved
