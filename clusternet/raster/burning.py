"""Rasterise shapes to labels, window by window, and record the `Fate` of every shape."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize

from clusternet.legend.inventory import Fate, LabelInventory
from clusternet.raster.placing import RasterExtent, drawing_transform, shapes_onto
from clusternet.raster.profile import RasterProfile
from clusternet.raster.shapes import Shapes
from clusternet.types import AnyArray, BoolArray, IntArray
from clusternet.windows import Window, blocks

NO_LABEL = -1
"""The value of pixels without a label in the arrays that are read."""
_NO_SHAPE = -1
_WINDOW = (2048, 2048)


class BurntLabels:
    """Labels that are rasterised from shapes."""

    def __init__(
        self,
        shapes: Shapes,
        grid: RasterProfile,
        *,
        unlabelled: int | None = None,
        background: int | None = None,
        all_touched: bool = False,
        lacking: Mapping[int, str] | None = None,
        inventory: LabelInventory | None = None,
    ) -> None:
        """Reproject shapes to the CRS of ``grid``; see `clusternet.labels.reading`.

        Args:
            shapes: shapes with common class numbers.
            grid: profile of the map.
            unlabelled: class number that means no label.
            background: class of pixels under no shape; None leaves them unlabelled.
            all_touched: label every pixel that a shape touches.
            lacking: number -> name of classes whose name means no class.
            inventory: counts labels and the fates of shapes.
        """
        shapes = shapes_onto(shapes, RasterExtent.of(grid))
        self.path = shapes.path
        self._shapes = shapes
        self.grid = grid
        self._transform = drawing_transform(shapes, grid)
        self._tree = shapely.STRtree(_finite(shapes.geometries))
        self._lacking = dict(lacking or {})
        self._unlabelled = NO_LABEL if unlabelled is None else unlabelled
        self._inventory = inventory or LabelInventory()
        self._background = NO_LABEL if background is None else background
        self._all_touched = all_touched
        self._seen = np.zeros(len(shapes.geometries) + 1, bool)  # the last serves _NO_SHAPE
        self.overlaps = bool(self._under(Window(0, 0, *grid.shape)).size)

    def read(self, window: Window) -> tuple[IntArray, BoolArray]:
        """See `clusternet.labels.reading.Labels.read`."""
        near = self._under(window)
        indexes = np.full(window.shape, _NO_SHAPE, np.int32)
        if near.size:
            indexes = self._burn(near, window)
            self._seen[indexes.ravel()] = True
        # the index _NO_SHAPE, which is -1, gets the background: the last entry
        table = np.append(self._shapes.classes, self._background).astype(np.int32)
        labels: IntArray = table[indexes]
        labels[labels == self._unlabelled] = NO_LABEL
        for number, name in self._lacking.items():
            self._inventory.add_lacking(name, int((labels == number).sum()))
            labels[labels == number] = NO_LABEL
        valid = labels != NO_LABEL
        self._inventory.add_read(labels[valid])
        return labels, valid

    def finish(self) -> None:
        """Add the fate of each shape to the inventory, after the whole map was read."""
        shapes = self._shapes
        self._inventory.add_shapes(shapes.path, shapes.rows, shapes.classes, self._fates())

    def _fates(self) -> AnyArray:
        fates = np.where(self._seen[:-1], Fate.USED, Fate.OFF_MAP).astype(np.int8)
        near = self._under(Window(0, 0, *self.grid.shape))
        on_map = self._on_map(near[~self._seen[near]])
        fates[on_map] = Fate.NO_CENTRE
        fates[self._hidden(on_map)] = Fate.HIDDEN
        fates[np.isin(self._shapes.classes, [self._unlabelled, *self._lacking])] = Fate.ABSENT
        return fates

    @property
    def touches(self) -> bool:
        """True if a shape lies on the raster; `overlaps` compares bounding boxes only."""
        return bool(self._on_map(self._under(Window(0, 0, *self.grid.shape))).size)

    def _on_map(self, indexes: AnyArray) -> AnyArray:
        """Return the shapes among ``indexes`` that lie on the raster."""
        rows, cols = self.grid.shape
        corners = [self._transform @ c for c in ((0, 0), (cols, 0), (cols, rows), (0, rows))]
        # GEOS may fail on invalid polygons, which GDAL rasterises nevertheless
        valid = shapely.make_valid(self._shapes.geometries[indexes])
        on_map: AnyArray = indexes[shapely.intersects(valid, shapely.Polygon(corners))]
        return on_map

    def _hidden(self, indexes: AnyArray) -> AnyArray:
        """Return the shapes among ``indexes`` that cover pixel centres, but lie under others.

        They are burnt without all other shapes. They may hide each other, so those that appear
        are removed, and the rest is burnt again.
        """
        left, hidden = indexes, [np.empty(0, int)]
        while left.size:
            shown = [np.empty(0, int)]
            for window in blocks(self.grid.shape, _WINDOW):
                under = np.intersect1d(left, self._under(window))
                if under.size:
                    shown.append(np.unique(self._burn(under, window)))
            new = np.intersect1d(left, np.concatenate(shown))
            hidden.append(new)
            left = self._beside(np.setdiff1d(left, new), new)
        return np.concatenate(hidden)

    def _beside(self, indexes: AnyArray, others: AnyArray) -> AnyArray:
        """Return the shapes among ``indexes`` whose bounding box meets that of another shape."""
        tree = shapely.STRtree(self._shapes.geometries[indexes])
        touched: AnyArray = indexes[np.unique(tree.query(self._shapes.geometries[others])[1])]
        return touched

    def _burn(self, indexes: AnyArray, window: Window) -> IntArray:
        """Return the index of the topmost shape at each pixel, ``_NO_SHAPE`` if there is none."""
        # rasterize burns in the order of the list, so later shapes cover earlier ones
        burns = [(self._shapes.geometries[i], int(i)) for i in indexes]
        topmost: IntArray = rasterize(
            burns, window.shape, fill=_NO_SHAPE, dtype="int32",
            transform=self._transform @ Affine.translation(window.col, window.row),
            all_touched=self._all_touched,
        )  # fmt: skip
        return topmost

    def _under(self, window: Window) -> AnyArray:
        """Return the indexes of the shapes that may touch a window, in burning order."""
        transform = self._transform @ Affine.translation(window.col, window.row)
        corners = [(0, 0), (window.width, 0), (0, window.height), (window.width, window.height)]
        box = shapely.MultiPoint([transform @ corner for corner in corners]).envelope
        return np.sort(self._tree.query(box))


def _finite(geometries: AnyArray) -> AnyArray:
    """Return geometries with None for those that cannot be reprojected to the CRS of the map."""
    finite = np.isfinite(shapely.bounds(geometries)).all(axis=1)
    kept = geometries.copy()
    kept[~finite] = None
    return kept
