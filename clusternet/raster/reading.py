"""Read windows of rasters as pixels and a valid mask."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from clusternet.errors import RasterError
from clusternet.raster.profile import RasterProfile
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Shape, Window

RASTER_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".vrt", ".jp2")
_DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


def find_rasters(source: Path) -> list[Path]:
    """Return ``source`` itself, or all rasters below it, sorted; hidden files are left out.

    Raises:
        RasterError: if there is no such file or folder, or the folder holds no raster.
    """
    if source.is_file():
        return [source]
    if not source.exists():
        raise RasterError(f"{source}: no such file or folder.")
    found = sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in RASTER_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )
    if not found:
        raise RasterError(
            f"{source}: no raster found; expected files ending in {', '.join(RASTER_SUFFIXES)}."
        )
    return found


def resolve_nodata(user: float | None, file: float | None) -> float | None:
    """Return the nodata value in force: the user's, else the file's."""
    return user if user is not None else file


class Raster:
    """An open raster. A handle belongs to one thread; open another one elsewhere."""

    def __init__(
        self, dataset: DatasetReader, nodata: float | None = None, *, codes: bool = False
    ) -> None:
        """Wrap an open dataset; see `open_raster`."""
        self._dataset = dataset
        self._lookup = None if codes else _colour_lookup(dataset)
        alpha = [i for i, c in enumerate(dataset.colorinterp, 1) if c == ColorInterp.alpha]
        self._indexes = [i for i in dataset.indexes if i not in alpha]
        flags = {flag for band in dataset.mask_flag_enums for flag in band}
        path = Path(dataset.name)
        if not self._indexes:
            raise RasterError(f"{path}: holds an alpha band only, expected at least one band.")
        kinds = {dataset.dtypes[i - 1] for i in self._indexes}
        if len(kinds) > 1 or not kinds <= set(_DTYPES):
            raise RasterError(
                f"{path}: expected one pixel type for all bands, one of {', '.join(_DTYPES)}; "
                f"found {', '.join(sorted(kinds))}."
            )
        self.profile = RasterProfile(
            path=path,
            shape=(dataset.height, dataset.width),
            num_bands=len(self._indexes) if self._lookup is None else 3,
            dtype=kinds.pop(),
            crs=dataset.crs,
            transform=dataset.transform,
            nodata=resolve_nodata(nodata, dataset.nodata),
            # A nodata tag beside an alpha band wins in GDAL; per_dataset means alpha or mask.
            has_mask=MaskFlags.per_dataset in flags and MaskFlags.nodata not in flags,
        )

    @property
    def band_names(self) -> tuple[str | None, ...]:
        """The description of each band, None where the file has none."""
        if self._lookup is not None:
            return ("red", "green", "blue")
        return tuple(self._dataset.descriptions[i - 1] for i in self._indexes)

    def read(self, window: Window) -> tuple[AnyArray, BoolArray]:
        """Read one window, which may reach beyond the raster.

        Returns:
            pixels (rows, cols, bands) in the file's dtype, the nodata value (or 0) beyond the
            raster, and valid (rows, cols), False on nodata and beyond the raster.

        Raises:
            RasterError: if the file is damaged, or holds NaN or infinite values that are not
                its nodata value.
        """
        inside = window.inside(self.profile.shape)
        fill = self.profile.nodata if self.profile.nodata is not None else 0
        pixels = np.full((*window.shape, self.profile.num_bands), fill, self.profile.dtype)
        valid = np.zeros(window.shape, bool)
        if inside.height and inside.width:
            place = inside.slices((window.row, window.col))
            pixels[place], valid[place] = self._read_inside(inside)
        return pixels, valid

    def _read_inside(self, window: Window) -> tuple[AnyArray, BoolArray]:
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        try:
            bands = self._dataset.read(self._indexes, window=place)
            masked = self._dataset.dataset_mask(window=place) if self.profile.has_mask else None
        except RasterioError as error:
            raise RasterError(
                f"{self.profile.path}: cannot be read at row {window.row}, column {window.col}; "
                "the file seems to be cut off or damaged."
            ) from error
        valid = valid_pixels(bands, self.profile.nodata)
        if masked is not None:
            valid &= masked > 0
        if self._lookup is not None:
            return self._lookup[bands[0]], valid
        pixels = np.moveaxis(bands, 0, -1)
        check_finite(pixels, valid, f"{self.profile.path}, row {window.row}, column {window.col}")
        return np.ascontiguousarray(pixels), valid


def valid_pixels(bands: AnyArray, nodata: float | None) -> BoolArray:
    """Tell which pixels hold data; bands (bands, rows, cols) -> (rows, cols).

    In 8-bit rasters a pixel is nodata where *all* bands hold the value (single zeros are common
    in dark places); with any other type one band is enough, because a marker such as -9999
    in one band would spoil every statistic.
    """
    if nodata is None:
        return np.ones(bands.shape[1:], bool)
    marked: AnyArray
    if math.isnan(nodata):
        marked = np.isnan(bands)
    else:
        # -3.4e38 written as text is no exact float32: compare in the precision of the bands
        value = np.asarray(nodata).astype(np.result_type(bands.dtype, np.float32))
        marked = np.equal(bands, value)
    some: BoolArray = marked.all(axis=0) if bands.dtype == np.uint8 else marked.any(axis=0)
    return ~some


def check_finite(pixels: AnyArray, valid: BoolArray, name: str) -> None:
    """Raise RasterError naming ``name`` if a valid pixel is NaN or infinite."""
    if pixels.dtype.kind == "f" and not np.isfinite(pixels[valid]).all():
        raise RasterError(
            f"{name}: holds NaN or infinite values that are not declared as nodata; "
            "declare them (--nodata nan for NaN) or mend the file."
        )


@contextmanager
def open_raster(
    path: Path, nodata: float | None = None, *, codes: bool = False
) -> Iterator[Raster]:
    """Open a raster for windowed reading.

    Args:
        path: the file.
        nodata: overrides the file's own marker.
        codes: True for maps and labels, whose values are read as they stand; an image with a
            colour table is otherwise read as the red, green and blue that it shows.

    Raises:
        RasterError: if it is missing, unreadable or of a type that is not supported.
    """
    with quiet_georeferencing():
        try:
            dataset = rasterio.open(path)
        except RasterioIOError as error:
            if not Path(path).exists():
                raise RasterError(f"{path}: no such file.") from error
            raise RasterError(
                f"{path}: cannot be read as a raster (damaged, cut off, or another format)."
            ) from error
        with dataset:
            yield Raster(dataset, nodata, codes=codes)


def read_shape(path: Path) -> Shape:
    """Return the (rows, cols) of a raster without reading pixels."""
    with open_raster(path) as raster:
        return raster.profile.shape


@contextmanager
def quiet_georeferencing() -> Iterator[None]:
    """Silence rasterio's warning on files without georeference: they are welcome here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _colour_lookup(dataset: DatasetReader) -> AnyArray | None:
    """Return the (256, 3) colour table of a palette image, None for measurements."""
    if dataset.count != 1 or dataset.colorinterp[0] != ColorInterp.palette:
        return None
    table = np.zeros((256, 3), np.uint8)
    for index, colour in dataset.colormap(1).items():
        table[index] = colour[:3]
    return table
