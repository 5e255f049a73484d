"""Overviews of a large raster for the interactive page, without changing its own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import rasterio
import rasterio.shutil
from rasterio.enums import Resampling

from clusternet.errors import OutputError
from clusternet.foreign_errors import converted
from clusternet.locations import state_of
from clusternet.processes.workers import call_in_process
from clusternet.raster.opening import check_overviews, gdal_name, open_dataset
from clusternet.raster.quiet import quiet_georeferencing

_SMALL = 2048  # pixels along a side: smaller rasters are read fast enough without overviews
_WITHOUT_BLOCKS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
"""Formats without blocks: to read a window, GDAL decodes all rows above it."""
_SMALL_WITHOUT_BLOCKS = 1024  # pixels along a side: such files are read fast enough all the same


def build_pyramid(source: Path, folder: Path, stop: Callable[[], bool] = lambda: False) -> Path:
    """Return a raster with overviews: ``source`` if it is fast enough, or one made in ``folder``.

    ``view.vrt`` refers to a large ``source``; beside it lie overviews of about a third of its
    uncompressed size. ``view.tif`` is a tiled copy of a file without blocks, such as PNG. Both
    need one pass over the raster, the first time, which ends early once ``stop`` returns True.

    Raises:
        WorkerError: if it ends early.
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
    hidden_path = view.with_stem("part")
    hidden_overviews = hidden_path.with_name("part.vrt.ovr")
    for leftover in (whole, hidden_path, hidden_overviews):  # of a process that was killed
        leftover.unlink(missing_ok=True)
    factors = [2**power for power in range(1, (largest - 1).bit_length() - 8)]
    with converted(OutputError, f"{view}: cannot be written"):
        # rasterio keeps Python's global lock while GDAL builds overviews: pages would stand still
        job = _Job(gdal_name(source.resolve()), hidden_path, view, copied, factors, labels)
        call_in_process(_build, job, stop)
        hidden_path.replace(view)
        if not copied:
            hidden_overviews.replace(whole)
    return view


class _Job(NamedTuple):
    source: str
    target: Path
    shown: Path
    """The path that messages name."""
    copied: bool
    factors: list[int]
    labels: bool


def _build(job: _Job) -> None:
    with (
        converted(OutputError, f"{job.shown}: cannot be written"),
        quiet_georeferencing(),
        rasterio.Env(COMPRESS_OVERVIEW="DEFLATE"),
    ):
        if job.copied:
            rasterio.shutil.copy(
                job.source, job.target, driver="GTiff", TILED="YES", BLOCKXSIZE=256,
                BLOCKYSIZE=256, COMPRESS="LZW", BIGTIFF="IF_SAFER",
            )  # fmt: skip
        else:
            rasterio.shutil.copy(job.source, job.target, driver="VRT")
        with rasterio.open(job.target, "r+") as dataset:
            method = Resampling.nearest if job.labels else Resampling.average
            dataset.build_overviews(job.factors, method)
