"""Read windows of rasters as pixels and a valid mask."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from clusternet.errors import RasterError
from clusternet.raster.palette import colour_lookup
from clusternet.raster.profile import RasterProfile
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Window

_DTYPES = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64",
)  # fmt: skip


def resolve_nodata(user: float | None, file: float | None) -> float | None:
    """Return the nodata value in force: the user's, else the file's."""
    return user if user is not None else file


class Raster:
    """An open raster. A handle belongs to one thread; open another one elsewhere."""

    def __init__(
        self, dataset: DatasetReader, nodata: float | None = None, *, codes: bool = False
    ) -> None:
        """Wrap an open dataset; see ``open_raster`` for the arguments."""
        self._dataset = dataset
        self._alpha = [i for i, c in enumerate(dataset.colorinterp, 1) if c == ColorInterp.alpha]
        self._indexes = [i for i in dataset.indexes if i not in self._alpha]
        dtype = self._check_dtype()
        check_nodata(nodata, dtype, Path(dataset.name))
        self._lookup = None if codes else colour_lookup(dataset, nodata is None)
        flags = dataset.mask_flag_enums[self._indexes[0] - 1]
        self._has_mask_band = not self._alpha and MaskFlags.per_dataset in flags
        file_nodata = dataset.nodata
        if self._lookup is not None or (self._has_mask_band and MaskFlags.nodata in flags):
            # The marker is a palette index or one value for each band: a mask, not a pixel value.
            file_nodata = None
        transparent = self._lookup is not None and bool((self._lookup[:, 3] == 0).any())
        self.profile = RasterProfile(
            path=Path(dataset.name),
            shape=(dataset.height, dataset.width),
            num_bands=len(self._indexes) if self._lookup is None else 3,
            dtype=dtype if self._lookup is None else "uint8",
            crs=dataset.crs,
            transform=dataset.transform,
            nodata=resolve_nodata(nodata, file_nodata),
            has_mask=bool(self._alpha) or self._has_mask_band or transparent,
        )

    def _check_dtype(self) -> str:
        path = self._dataset.name
        if not self._indexes:
            raise RasterError(f"{path}: holds an alpha band only, expected at least one band.")
        kinds = {self._dataset.dtypes[i - 1] for i in self._indexes}
        if len(kinds) > 1 or not kinds <= set(_DTYPES):
            raise RasterError(
                f"{path}: expected one pixel type for all bands, one of {', '.join(_DTYPES)}; "
                f"found {', '.join(sorted(kinds))}."
            )
        return str(kinds.pop())

    @property
    def tags(self) -> dict[str, str]:
        """The metadata recorded in the file, such as ``create_map`` writes."""
        return dict(self._dataset.tags())

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
        try:
            bands = self._read_bands(window)
            mask = self._read_mask(window)
        except RasterioError as error:
            raise RasterError(
                f"{self.profile.path}: cannot be read at row {window.row}, column {window.col}; "
                "the file seems to be cut off or damaged."
            ) from error
        if self._lookup is not None:
            colours = self._lookup[bands[0]]  # (rows, cols, 4)
            bands, mask = np.moveaxis(colours[..., :3], -1, 0), mask & (colours[..., 3] > 0)
        valid = valid_pixels(bands, self.profile.nodata) & mask
        pixels = np.moveaxis(bands, 0, -1)
        check_finite(pixels, valid, f"{self.profile.path}, row {window.row}, column {window.col}")
        return np.ascontiguousarray(pixels), valid

    def _read_bands(self, window: Window) -> AnyArray:
        places = [window]
        if self._dataset.driver == "PNG" and window.shape == self.profile.shape:
            # GDAL reads a PNG in one piece by a shortcut that does not notice a file cut off.
            top = Window(window.row, window.col, window.height - 1, window.width)
            last = Window(window.row + window.height - 1, window.col, 1, window.width)
            places = [top, last] if top.height else [last]
        parts = [self._dataset.read(self._indexes, window=_for_rasterio(w)) for w in places]
        bands: AnyArray = np.concatenate(parts, axis=1)
        return bands

    def _read_mask(self, window: Window) -> BoolArray:
        """Return what the alpha band or mask band says; (rows, cols), True where usable."""
        place = _for_rasterio(window)
        if self._alpha:
            visible: BoolArray = self._dataset.read(self._alpha[0], window=place) > 0
        elif self._has_mask_band:
            visible = self._dataset.dataset_mask(window=place) > 0
        else:
            visible = np.ones(window.shape, bool)
        return visible


def _for_rasterio(window: Window) -> RasterioWindow:
    return RasterioWindow(window.col, window.row, window.width, window.height)


def check_nodata(nodata: float | None, dtype: str, path: Path) -> None:
    """Raise RasterError if a nodata value given by the user cannot occur in ``dtype``."""
    if nodata is None or np.dtype(dtype).kind == "f":
        return
    limits = np.iinfo(dtype)
    if not (math.isfinite(nodata) and nodata == int(nodata) and limits.min <= nodata <= limits.max):
        raise RasterError(
            f"{path}: nodata value {nodata:g} cannot occur in {dtype} pixels; expected a whole "
            f"number from {limits.min} to {limits.max} (--nodata)."
        )


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
    combine = np.logical_and if bands.dtype == np.uint8 else np.logical_or
    return ~np.asarray(combine.reduce(marked, axis=0), np.bool_)


def check_finite(pixels: AnyArray, valid: BoolArray, name: str) -> None:
    """Raise RasterError naming ``name`` if a valid pixel is NaN or infinite."""
    if pixels.dtype.kind == "f" and not np.isfinite(pixels[valid]).all():
        raise RasterError(
            f"{name}: holds NaN or infinite values that are not declared as nodata; "
            "declare them (--nodata nan for NaN) or mend the file."
        )
