"""Labels burnt from shapes, window by window, and what becomes of every shape."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize

from clusternet.legend.inventory import Fate, LabelInventory
from clusternet.raster.placing import Ground, drawing_transform, shapes_onto
from clusternet.raster.profile import RasterProfile
from clusternet.raster.shapes import Shapes
from clusternet.types import AnyArray, BoolArray, IntArray
from clusternet.windows import Window, blocks

NO_LABEL = -1
"""The value of pixels without a label in the arrays that are read."""
_NO_SHAPE = -1
_WINDOW = (2048, 2048)


class BurntLabels:
    """Labels burnt from shapes."""

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
        """Bring shapes into the CRS of ``grid``; see `clusternet.labels.reading`.

        Args:
            shapes: with common class numbers.
            grid: of the map.
            unlabelled: class number that means no label.
            background: class of pixels under no shape; None leaves them unlabelled.
            all_touched: label every pixel that a shape touches.
            lacking: numbers and names of classes that say that there is none.
            inventory: counts what becomes of labels.
        """
        shapes = shapes_onto(shapes, Ground.of(grid))
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
        found = self._under(window)
        parts = np.full(window.shape, _NO_SHAPE, np.int32)
        if found.size:
            parts = self._burn(found, window)
            self._seen[parts.ravel()] = True
        table = np.append(self._shapes.classes, self._background).astype(np.int32)
        labels: IntArray = table[parts]
        labels[labels == self._unlabelled] = NO_LABEL
        for number, name in self._lacking.items():
            self._inventory.add_lacking(name, int((labels == number).sum()))
            labels[labels == number] = NO_LABEL
        valid = labels != NO_LABEL
        self._inventory.add_read(labels[valid])
        return labels, valid

    def finish(self) -> None:
        """Count what became of each shape, once the whole map was read."""
        shapes = self._shapes
        self._inventory.add_shapes(shapes.path, shapes.rows, shapes.classes, self._fates())

    def _fates(self) -> AnyArray:
        fates = np.where(self._seen[:-1], Fate.USED, Fate.OFF_MAP).astype(np.int8)
        near = self._under(Window(0, 0, *self.grid.shape))
        unseen = near[~self._seen[near]]
        rows, cols = self.grid.shape
        corners = [self._transform @ c for c in ((0, 0), (cols, 0), (cols, rows), (0, rows))]
        valid = shapely.make_valid(self._shapes.geometries[unseen])
        on_map = unseen[shapely.intersects(valid, shapely.Polygon(corners))]
        fates[on_map] = Fate.NO_CENTRE
        fates[self._hidden(on_map)] = Fate.HIDDEN
        fates[np.isin(self._shapes.classes, [self._unlabelled, *self._lacking])] = Fate.ABSENT
        return fates

    def _hidden(self, indexes: AnyArray) -> AnyArray:
        """Return those shapes that would give labels if they lay on top.

        They are burnt by themselves; of those that hide each other some appear each time.
        """
        left, found = indexes, [np.empty(0, int)]
        while left.size:
            shown = [np.empty(0, int)]
            for window in blocks(self.grid.shape, _WINDOW):
                under = np.intersect1d(left, self._under(window))
                if under.size:
                    shown.append(np.unique(self._burn(under, window)))
            new = np.intersect1d(left, np.concatenate(shown))
            found.append(new)
            left = self._beside(np.setdiff1d(left, new), new)
        return np.concatenate(found)

    def _beside(self, indexes: AnyArray, others: AnyArray) -> AnyArray:
        """Return those shapes that others may lie over."""
        tree = shapely.STRtree(self._shapes.geometries[indexes])
        found: AnyArray = indexes[np.unique(tree.query(self._shapes.geometries[others])[1])]
        return found

    def _burn(self, indexes: AnyArray, window: Window) -> IntArray:
        """Return the shape on top of each pixel, ``_NO_SHAPE`` where there is none."""
        burns = [(self._shapes.geometries[i], int(i)) for i in indexes]
        parts: IntArray = rasterize(
            burns, window.shape, fill=_NO_SHAPE, dtype="int32",
            transform=self._transform @ Affine.translation(window.col, window.row),
            all_touched=self._all_touched,
        )  # fmt: skip
        return parts

    def _under(self, window: Window) -> AnyArray:
        """Return the indices of the shapes that may touch a window, in burning order."""
        place = self._transform @ Affine.translation(window.col, window.row)
        corners = [(0, 0), (window.width, 0), (0, window.height), (window.width, window.height)]
        box = shapely.MultiPoint([place @ corner for corner in corners]).envelope
        return np.sort(self._tree.query(box))


def _finite(geometries: AnyArray) -> AnyArray:
    """Return geometries with None for those that have no place in the CRS of the map."""
    finite = np.isfinite(shapely.bounds(geometries)).all(axis=1)
    kept = geometries.copy()
    kept[~finite] = None
    return kept
