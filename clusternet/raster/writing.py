"""Write rasters: whole patches, and maps window by window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter, MemoryFile
from rasterio.windows import Window as RasterioWindow

from clusternet.errors import OutputError
from clusternet.files.outputs import KIND_TAG, new_file, write_failure
from clusternet.foreign_errors import reason, topic
from clusternet.legend.names import clean_name
from clusternet.messages import one_line
from clusternet.process_setup import quiet_stderr
from clusternet.processes.phases import phases
from clusternet.processes.waiting import run_aside
from clusternet.raster.band_identity import NOTHING_STATED, BandIdentity
from clusternet.raster.category_names import side_file_path, write_side_file
from clusternet.raster.control import Control
from clusternet.raster.gdal_messages import gdal_complaints
from clusternet.raster.map_files import map_kind, map_side_files, our_side_files
from clusternet.raster.plain_paths import plain_path
from clusternet.raster.profile import RasterProfile
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.raster.side_reference import lost_reference
from clusternet.types import AnyArray, BoolArray, UInt8Array
from clusternet.windows import Window

_BLOCK = 256  # pixels along each side of a map's tiles: GDAL's default, and TIFF needs 16 * n


def write_patch(
    path: Path,
    pixels: AnyArray,
    *,
    valid: BoolArray | None = None,
    nodata: float | None = None,
    crs: CRS | None = None,
    transform: Affine | None = None,
    control: Control | None = None,
    bands: BandIdentity = NOTHING_STATED,
) -> None:
    """Write a small raster whole, losslessly, as GeoTIFF.

    Args:
        path: the file to write.
        pixels: (rows, cols, bands).
        valid: (rows, cols); written as a mask band inside the file, for rasters without a nodata
            value. None writes no mask.
        nodata: the nodata value to record, None for none.
        crs: coordinate reference system.
        transform: transform of the patch, from its own first pixel.
        control: control points or RPCs of the patch, instead of a transform.
        bands: metadata of its bands, of which descriptions and scales are written.
    """
    rows, cols, count = pixels.shape
    options: dict[str, Any] = dict(
        driver="GTiff", height=rows, width=cols, count=count, dtype=pixels.dtype.name,
        nodata=nodata, crs=crs, transform=transform, compress="deflate", photometric="minisblack",
        predictor=3 if pixels.dtype.kind == "f" else 2,
    )  # fmt: skip
    with quiet_georeferencing(), _readable_rasterio_errors(path):
        # In memory first: GDAL may close a file on a full disk without an error, Python does not.
        settings = dict(GDAL_TIFF_INTERNAL_MASK=True, GDAL_PAM_ENABLED=False)
        with rasterio.Env(**settings), MemoryFile() as memory:
            with memory.open(**options) as dst:
                dst.write(np.moveaxis(pixels, -1, 0))
                if bands.descriptions:
                    dst.descriptions = bands.descriptions
                if bands.scales:
                    dst.scales, dst.offsets = bands.scales, bands.offsets
                if control is not None:
                    control.write(dst)
                if valid is not None:
                    dst.write_mask(valid)
            path.write_bytes(memory.read())
    if reference := lost_reference(crs, control):
        write_side_file(side_file_path(path), path, None, reference)


@dataclass
class MapWriter:
    """An open map that is written window by window, in any order."""

    path: Path
    """The final path, for messages."""
    dataset: DatasetWriter
    """The open dataset, under a hidden name."""
    complete: Callable[[], None]
    """Completes the file, still under its hidden name."""
    is_complete: bool = False

    @phases.during("writing")
    def finish(self) -> None:
        """Complete the file; calling it again does nothing.

        Maps that belong together are all finished before the first one is renamed. So a full disk
        leaves none of them.
        """
        if not self.is_complete:
            self.complete()
            self.is_complete = True

    @phases.during("writing")
    def write(self, window: Window, values: AnyArray) -> None:
        """Write values (rows, cols) or (rows, cols, bands) at ``window``."""
        bands = values[np.newaxis] if values.ndim == 2 else np.moveaxis(values, -1, 0)
        target = RasterioWindow(window.col, window.row, window.width, window.height)
        with _readable_rasterio_errors(self.path), quiet_stderr():  # libtiff prints to stderr
            self.dataset.write(bands, window=target)


@dataclass(frozen=True, eq=False)
class MapForm:
    """The content of a map, and how it is stored."""

    dtype: str = "uint8"
    """numpy name of the pixel type."""
    num_bands: int = 1
    """Number of bands."""
    nodata: float | None = None
    """Nodata value, None for none."""
    colours: UInt8Array | None = None
    """(values, 3) colour table; only 8- and 16-bit maps can hold one. It is also written to a QGIS
    style beside the map."""
    names: Sequence[str] | None = None
    """The name of each value from 0 on, shown by GIS beside its colour, empty for values that do
    not occur; they go to ``<path>.aux.xml``."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Metadata to record in the file; ``CLUSTERNET_KIND`` is the kind of map."""
    scale: tuple[AnyArray, AnyArray] | None = None
    """(scales, offsets), (bands,) each: value = pixel * scale + offset, as GIS apply it."""
    band_names: Sequence[str] = ()
    """The name of each band; none for no names."""
    cog: bool = False
    """Write a cloud-optimised GeoTIFF, with overviews."""
    overview_method: str = "nearest"
    """Resampling method of overviews; ``nearest`` makes no new values, which labels need."""


@contextmanager
def create_map(
    path: Path,
    grid: RasterProfile,
    form: MapForm,
    *,
    overwrite: bool = False,
    stale: Sequence[Path] = (),
) -> Iterator[MapWriter]:
    """Create a tiled, compressed GeoTIFF on the grid of ``grid``; it appears when complete.

    Args:
        path: the file to create.
        grid: the raster whose size, CRS and transform the map gets.
        form: content and storage of the map.
        overwrite: replace an existing map of ours with the same ``CLUSTERNET_KIND``.
        stale: files that belong to an earlier map; they are deleted just before this one appears.

    Raises:
        OutputError: if ``path`` exists and may not be replaced, or writing fails.
    """
    names = None if form.names is None else [clean_name(name, path) for name in form.names]
    kind = map_kind(form.tags.get(KIND_TAG, ""))
    is_replaced = path.exists()
    reference = lost_reference(grid.output_crs, grid.control)
    side_files = map_side_files(path, kind, form.colours, names, reference, overwrite=overwrite)
    with (
        ExitStack() as after,
        new_file(path, kind=kind, overwrite=overwrite) as hidden_path,
        ExitStack() as stack,
    ):
        # They appear just before a new map, so that it is complete; but after one that replaces
        # another, which they would speak of falsely until then.
        (after if is_replaced else stack).enter_context(side_files)
        # GDAL may write a sidecar file for the hidden name
        stack.callback(_remove_side_file, hidden_path)
        plain = stack.enter_context(_plain_sibling(hidden_path)) if form.cog else hidden_path
        stack.enter_context(quiet_georeferencing())
        stack.enter_context(_readable_rasterio_errors(path))
        opened = stack.enter_context(ExitStack())
        dataset = opened.enter_context(_created(plain, _creation_options(grid, form)))
        _describe(dataset, grid, form)

        def complete() -> None:
            opened.close()
            _check_complete(plain, path)
            if form.cog:
                _convert_to_cog(plain, hidden_path, form.overview_method)

        writer = MapWriter(path, dataset, complete)
        yield writer
        writer.finish()
        for old in (*stale, *(our_side_files(path, kind) if is_replaced else ())):
            old.unlink(missing_ok=True)


def _creation_options(grid: RasterProfile, form: MapForm) -> dict[str, Any]:
    """Return the options with which rasterio creates the file."""
    transform = grid.transform if grid.is_georeferenced else None
    # Predictor 2 stores differences of neighbours, which helps measurements but not class numbers.
    has_differences = form.colours is None and np.dtype(form.dtype).kind != "f"
    options: dict[str, Any] = dict(
        driver="GTiff", height=grid.shape[0], width=grid.shape[1], count=form.num_bands,
        dtype=form.dtype, crs=grid.output_crs, transform=transform, nodata=form.nodata, tiled=True,
        blockxsize=_BLOCK, blockysize=_BLOCK, compress="deflate", bigtiff="if_safer",
        predictor=2 if has_differences else 1,
    )  # fmt: skip
    return options if form.colours is None else options | {"photometric": "palette"}


def _describe(dataset: DatasetWriter, grid: RasterProfile, form: MapForm) -> None:
    """Write tags, colour table, scale and control points of a new map."""
    dataset.update_tags(**form.tags)
    if form.colours is not None:
        dataset.write_colormap(1, _colour_table(form.colours, form.nodata))
    if form.scale is not None:
        dataset.scales, dataset.offsets = form.scale
    if form.band_names:
        dataset.descriptions = tuple(form.band_names)
    if grid.control is not None:
        grid.control.write(dataset)


@contextmanager
def _created(path: Path, options: dict[str, Any]) -> Iterator[DatasetWriter]:
    """Create a raster; on a full disk libtiff prints errors to stderr while it is closed."""
    dataset = rasterio.open(plain_path(path, OutputError), "w", **options)
    try:
        yield dataset
    finally:
        with quiet_stderr():
            dataset.close()


@contextmanager
def _plain_sibling(hidden_path: Path) -> Iterator[Path]:
    plain = hidden_path.with_name(f"{hidden_path.name}.plain.tif")
    try:
        yield plain
    finally:
        plain.unlink(missing_ok=True)
        _remove_side_file(plain)


def _remove_side_file(hidden_path: Path) -> None:
    with suppress(OSError):
        side_file_path(hidden_path).unlink()


def _convert_to_cog(plain: Path, hidden_path: Path, overview_method: str) -> None:
    # GDAL's COG driver needs all pixels first, so it cannot write window by window.
    source, target = plain_path(plain, OutputError), plain_path(hidden_path, OutputError)
    copy = partial(
        rasterio.shutil.copy,
        source, target, driver="COG", compress="deflate", blocksize=_BLOCK * 2, bigtiff="if_safer",
        overview_resampling=overview_method, overview_compress="deflate", num_threads="all_cpus",
    )  # fmt: skip
    with quiet_stderr():
        run_aside(copy)  # GDAL lays out a large raster in minutes
    with rasterio.open(source) as before, rasterio.open(target) as after:
        # the copy has replaced no file yet, so a loss can still be reported
        same = before.colorinterp == after.colorinterp and before.nodatavals == after.nodatavals
        if not same:
            raise OutputError(f"{hidden_path}: the cloud-optimised copy lost colours or nodata.")


def _colour_table(colours: UInt8Array, nodata: float | None) -> dict[int, tuple[int, ...]]:
    table = {value: (*(int(c) for c in rgb), 255) for value, rgb in enumerate(colours)}
    if nodata is not None and not math.isnan(nodata):
        table[int(nodata)] = (0, 0, 0, 0)
    return table


def _check_complete(hidden_path: Path, path: Path) -> None:
    """Read the last pixel back: on a full disk GDAL may report nothing, but pixels are missing."""
    with rasterio.open(plain_path(hidden_path, OutputError)) as written:
        row, col = (written.height - 1), (written.width - 1)
        try:
            written.read(1, window=RasterioWindow(col, row, 1, 1))
        except RasterioError as error:
            raise write_failure(path, "not written completely") from error


@contextmanager
def _readable_rasterio_errors(path: Path) -> Iterator[None]:
    with gdal_complaints() as heard:
        try:
            yield
        except Exception as error:
            if topic(error) != "GDAL":
                raise
            said = next((one_line(c.text) for c in heard if c.is_error), reason(error))
            raise write_failure(path, said) from error
