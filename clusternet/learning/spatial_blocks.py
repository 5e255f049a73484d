"""Spatial blocks of labelled pixels: cross-validation leaves out whole blocks, never single pixels.

Neighbouring pixels are nearly equal. A score on pixels beside those of the fit says how well the
fit remembers, not how well it does elsewhere (Roberts et al. 2017). So pixels of two blocks are
never neighbours: there are at least `CELL` pixels between them.

A block is a connected group of labelled pixels, for example a polygon. A group that is wider than
`SIDE` pixels is cut by a grid, with a gap along the cuts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from clusternet.raster import RasterProfile
from clusternet.raster.crs import moved_points
from clusternet.types import BoolArray, IntArray

CELL = 16
"""Side in pixels of the cells that blocks are made of, and the least distance of blocks."""
SIDE = 256
"""Side in pixels of the grid that cuts wide groups, a multiple of `CELL`."""
GAP = -1
"""The number of cells that belong to no block."""


def cells_of(labelled: BoolArray) -> BoolArray:
    """Return the cells that hold a labelled pixel; (rows, cols) of pixels -> of cells."""
    if not labelled.size:
        return np.zeros((0, 0), bool)
    for axis in (0, 1):
        starts = np.arange(0, labelled.shape[axis], CELL)
        labelled = np.logical_or.reduceat(labelled, starts, axis=axis)
    return labelled


def find_blocks(rasters: Sequence[tuple[RasterProfile, BoolArray]]) -> list[IntArray]:
    """Return the block of each cell of several rasters.

    Args:
        rasters: the grid of each, and (rows, cols) which of its cells hold labels.

    Returns:
        for each raster (rows, cols): the number of the block, counted through all rasters, `GAP`
        in cells without labels and in those between blocks. Blocks of two rasters that lie on or
        beside each other on the ground are one.
    """
    numbered, first = [], 0
    for _, cells in rasters:
        blocks = _cut(cells)
        numbered.append(np.where(blocks == GAP, GAP, blocks + first).astype(np.int32))
        first += int(blocks.max(initial=GAP)) + 1
    joined = _joined([profile for profile, _ in rasters], numbered, first)
    return [np.append(joined, GAP)[blocks].astype(np.int32) for blocks in numbered]  # GAP is -1


def _cut(cells: BoolArray) -> IntArray:
    """Return the blocks of one raster, from 0."""
    from scipy import ndimage

    groups, _ = ndimage.label(cells, structure=np.ones((3, 3)))
    side = SIDE // CELL
    rows, cols = (np.arange(size) for size in cells.shape)
    border = (rows % side == 0)[:, None] | (cols % side == 0)
    square = rows[:, None] // side * len(cols) + cols // side
    key = np.stack([groups, np.zeros(cells.shape, np.int64)])
    for number, extent in enumerate(ndimage.find_objects(groups), 1):
        if max(each.stop - each.start for each in extent) > side:
            inside = groups[extent] == number
            key[0][extent][inside & border[extent]] = 0
            key[1][extent][inside] = square[extent][inside]
    used = key[0] > 0
    blocks = np.full(cells.shape, GAP, np.int32)
    if used.any():
        blocks[used] = np.unique(key[:, used], axis=1, return_inverse=True)[1].ravel()
    return blocks


def _joined(profiles: Sequence[RasterProfile], blocks: Sequence[IntArray], count: int) -> IntArray:
    """Return the common number of each block, the same for blocks of rasters that meet."""
    from scipy import ndimage
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    placed = [each for each in zip(profiles, blocks, strict=True) if each[0].is_georeferenced]
    boxes, owners, numbers = [], [], []
    for owner, (profile, numbered) in enumerate(placed):
        # find_objects takes labels from 1, and blocks count from 0
        for index, extent in enumerate(ndimage.find_objects(numbered + 1)):
            if extent is not None:
                boxes.append(_box(profile, placed[0][0], extent))
                owners.append(owner)
                numbers.append(index)
    if len(placed) < 2 or not boxes:
        return np.arange(count, dtype=np.int32)
    first, second = shapely.STRtree(boxes).query(np.array(boxes, object), "intersects")
    apart = np.array(owners)[first] != np.array(owners)[second]
    edges = np.array(numbers)[first[apart]], np.array(numbers)[second[apart]]
    graph = coo_array((np.ones(len(edges[0])), edges), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int32)


def _box(
    profile: RasterProfile, common: RasterProfile, extent: tuple[slice, slice]
) -> shapely.Polygon:
    """Return the area of a block, and half a cell around it, in the CRS of a common raster."""
    # 0.49 and not 0.5, so that boxes with one cell between them do not touch
    top, bottom = (extent[0].start - 0.49) * CELL, (extent[0].stop + 0.49) * CELL
    left, right = (extent[1].start - 0.49) * CELL, (extent[1].stop + 0.49) * CELL
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    points = np.array([profile.transform * corner for corner in corners])
    if profile.crs is not None and common.crs is not None:
        points = moved_points(points, profile.crs, common.crs)
    return shapely.Polygon(points) if np.isfinite(points).all() else shapely.Polygon()
