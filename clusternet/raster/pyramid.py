"""Overviews of a large raster for the interactive page, without changing its own files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.enums import Resampling

from clusternet.errors import OutputError
from clusternet.foreign_errors import converted
from clusternet.locations import state_of
from clusternet.processes.waiting import run_aside
from clusternet.raster.opening import check_overviews, gdal_name, open_dataset
from clusternet.raster.quiet import quiet_georeferencing

_SMALL = 2048  # pixels along a side: smaller rasters are read fast enough without overviews
_WITHOUT_BLOCKS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
"""Formats without blocks: to read a window, GDAL decodes all rows above it."""
_SMALL_WITHOUT_BLOCKS = 1024  # pixels along a side: such files are read fast enough all the same


def build_pyramid(source: Path, folder: Path) -> Path:
    """Return a raster with overviews: ``source`` if it is fast enough, or one made in ``folder``.

    ``view.vrt`` refers to a large ``source``; beside it lie overviews of about a third of its
    uncompressed size. ``view.tif`` is a tiled copy of a file without blocks, such as PNG. Both
    need one pass over the raster, the first time.

    Raises:
        OutputError: if the folder cannot be written.
        RasterError: if ``source`` or its overviews cannot be read.
    """
    with open_dataset(source) as dataset:
        largest, overviews = max(dataset.shape), dataset.overviews(1)
        labels = dataset.colorinterp[0] == rasterio.enums.ColorInterp.palette
        copied = dataset.driver in _WITHOUT_BLOCKS and largest > _SMALL_WITHOUT_BLOCKS
    check_overviews(source, len(overviews))
    if not copied and (largest <= _SMALL or overviews):
        return source
    view = folder / ("view.tif" if copied else "view.vrt")
    # the file that is renamed last: if it exists, the view is complete
    whole = view if copied else view.with_name("view.vrt.ovr")
    if whole.exists() and whole.stat().st_mtime_ns >= state_of(source)[1]:
        return view
    whole.unlink(missing_ok=True)
    factors = [2**power for power in range(1, (largest - 1).bit_length() - 8)]
    hidden_path = view.with_stem("part")
    with converted(OutputError, f"{view}: cannot be written"):
        name = gdal_name(source.resolve())
        run_aside(partial(_build, name, hidden_path, copied, factors, labels))
        hidden_path.replace(view)
        if not copied:
            hidden_path.with_name("part.vrt.ovr").replace(whole)
    return view


def _build(source: str, target: Path, copied: bool, factors: list[int], labels: bool) -> None:
    with quiet_georeferencing(), rasterio.Env(COMPRESS_OVERVIEW="DEFLATE"):
        if copied:
            rasterio.shutil.copy(
                source, target, driver="GTiff", TILED="YES", BLOCKXSIZE=256, BLOCKYSIZE=256,
                COMPRESS="LZW", BIGTIFF="IF_SAFER",
            )  # fmt: skip
        else:
            rasterio.shutil.copy(source, target, driver="VRT")
        with rasterio.open(target, "r+") as dataset:
            method = Resampling.nearest if labels else Resampling.average
            dataset.build_overviews(factors, method)
