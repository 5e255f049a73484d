"""Overviews for looking at a large raster from afar, without touching its own files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.enums import Resampling

from clusternet.errors import OutputError
from clusternet.foreign_errors import converted
from clusternet.processes.waiting import run_aside
from clusternet.raster.opening import check_overviews, open_dataset
from clusternet.raster.quiet import quiet_georeferencing

_SMALL = 2048  # pixels a side that are read from afar quickly enough as they are
_WITHOUT_PLACES = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
"""Formats that are read from their beginning: each part takes as long as all above it."""
_SMALL_WITHOUT_PLACES = 1024  # pixels a side that are read so quickly enough


def build_pyramid(source: Path, folder: Path) -> Path:
    """Return a raster to look at: ``source`` if it will do, or one made in ``folder``.

    ``view.vrt`` refers to a large ``source`` and holds no pixels but its overviews, of about a
    third of its size uncompressed. ``view.tif`` is a copy of one whose parts cannot be read by
    themselves, as of PNG. Either takes a pass over the raster, once.

    Raises:
        OutputError: if the folder cannot be written.
        RasterError: if ``source`` cannot be read, or lies about its overviews.
    """
    with open_dataset(source) as dataset:
        largest, overviews = max(dataset.shape), dataset.overviews(1)
        labels = dataset.colorinterp[0] == rasterio.enums.ColorInterp.palette
        copied = dataset.driver in _WITHOUT_PLACES and largest > _SMALL_WITHOUT_PLACES
    check_overviews(source, len(overviews))
    if not copied and (largest <= _SMALL or overviews):
        return source
    view = folder / ("view.tif" if copied else "view.vrt")
    # what is put in place last: its presence says that all is there
    whole = view if copied else view.with_name("view.vrt.ovr")
    if whole.exists() and whole.stat().st_mtime >= source.stat().st_mtime:
        return view
    whole.unlink(missing_ok=True)
    factors = [2**power for power in range(1, (largest - 1).bit_length() - 8)]
    part = view.with_stem("part")
    with converted(OutputError, f"{view}: cannot be written"):
        run_aside(partial(_build, source.resolve(), part, copied, factors, labels))
        part.replace(view)
        if not copied:
            part.with_name("part.vrt.ovr").replace(whole)
    return view


def _build(source: Path, part: Path, copied: bool, factors: list[int], labels: bool) -> None:
    with quiet_georeferencing(), rasterio.Env(COMPRESS_OVERVIEW="DEFLATE"):
        if copied:
            rasterio.shutil.copy(
                source, part, driver="GTiff", TILED="YES", BLOCKXSIZE=256, BLOCKYSIZE=256,
                COMPRESS="LZW", BIGTIFF="IF_SAFER",
            )  # fmt: skip
        else:
            rasterio.shutil.copy(source, part, driver="VRT")
        with rasterio.open(part, "r+") as dataset:
            method = Resampling.nearest if labels else Resampling.average
            dataset.build_overviews(factors, method)
