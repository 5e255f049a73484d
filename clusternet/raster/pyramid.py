"""Overviews for looking at a large raster from afar, without touching its own files."""

from __future__ import annotations

from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from clusternet.errors import OutputError
from clusternet.raster.quiet import quiet_georeferencing

_SMALL = 2048  # pixels a side that are read from afar quickly enough as they are


def build_pyramid(source: Path, folder: Path) -> Path:
    """Return a raster to look at: ``source``, or ``folder/view.vrt`` with overviews beside it.

    The view refers to ``source`` and holds no pixels but its overviews, of about a third of its
    size uncompressed. It takes a pass over the raster, once.

    Raises:
        OutputError: if the folder cannot be written.
    """
    view = folder / "view.vrt"
    with quiet_georeferencing(), rasterio.open(source) as dataset:
        largest, has_overviews = max(dataset.shape), bool(dataset.overviews(1))
        labels = dataset.colorinterp[0] == rasterio.enums.ColorInterp.palette
    if largest <= _SMALL or has_overviews:
        return source
    overviews = view.with_name("view.vrt.ovr")
    if overviews.exists() and overviews.stat().st_mtime >= source.stat().st_mtime:
        return view
    overviews.unlink(missing_ok=True)
    factors = [2**power for power in range(1, (largest - 1).bit_length() - 8)]
    part = folder / "part.vrt"
    try:
        with quiet_georeferencing(), rasterio.Env(COMPRESS_OVERVIEW="DEFLATE"):
            rasterio.shutil.copy(source.resolve(), part, driver="VRT")
            with rasterio.open(part, "r+") as dataset:
                method = Resampling.nearest if labels else Resampling.average
                dataset.build_overviews(factors, method)
    except RasterioError as error:
        raise OutputError(f"{view}: cannot be written ({error}).") from error
    part.replace(view)  # the overviews last: their presence says that all is there
    part.with_name("part.vrt.ovr").replace(overviews)
    return view
