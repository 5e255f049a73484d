"""Find the pixels that shapes touch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely

from clusternet.errors import GridMismatchError
from clusternet.foreign_errors import converted
from clusternet.raster.crs import wkt_of
from clusternet.raster.profile import RasterProfile
from clusternet.raster.vector_files import list_layers, read_layer
from clusternet.types import AnyArray, BoolArray


def touched_pixels(path: Path, profile: RasterProfile, pixels: AnyArray) -> BoolArray:
    """Tell which pixels of a raster the shapes of a file touch.

    Args:
        path: vectors in any CRS; all layers count.
        profile: of the raster.
        pixels: (pixels, 2) row and column.

    Returns:
        (pixels,)

    Raises:
        GridMismatchError: if the shapes cannot be brought into the CRS of the raster.
    """
    import geopandas  # here, because it takes long to load

    corners = ((0, 0), (1, 0), (1, 1), (0, 1))
    squares = [
        shapely.Polygon([profile.transform @ (col + x, row + y) for x, y in corners])
        for row, col in pixels.tolist()
    ]
    touched: BoolArray = np.zeros(len(squares), bool)
    for layer, kind in list_layers(path):
        frame = read_layer(path, layer, quiet=True) if kind is not None else None
        if not isinstance(frame, geopandas.GeoDataFrame):
            continue
        if frame.crs is not None and profile.crs is not None:
            with converted(GridMismatchError, f"{path}: cannot be laid over {profile.path}"):
                frame = frame.to_crs(wkt_of(profile.crs))
        found = shapely.STRtree(frame.geometry.dropna().to_numpy()).query(squares, "intersects")
        touched[np.unique(found[0])] = True
    return touched
