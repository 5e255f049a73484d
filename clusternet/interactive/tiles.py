"""Image tiles of a raster for the map, in pixel coordinates, by rio-tiler.

rio-tiler opens the raster with rasterio. This is the only module outside of `clusternet.raster`
that uses rasterio in this indirect way.
"""

from __future__ import annotations

import hashlib
import io
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rio_tiler.errors import NoOverviewWarning, TileOutsideBounds
from rio_tiler.io.rasterio import ImageReader

from clusternet.interactive.superpixels import Superpixels, View
from clusternet.locations import state_of
from clusternet.nodata import NodataChoice, Number
from clusternet.raster import Raster
from clusternet.raster.opening import gdal_name
from clusternet.raster.quiet import quiet_georeferencing, quiet_warnings
from clusternet.raster.remote import kept_open, remote_settings
from clusternet.types import AnyArray, BoolArray, IntArray, UInt8Array
from clusternet.windows import Window

TILE = 256
"""Side of a tile in screen pixels."""


@dataclass(frozen=True)
class Look:
    """How bands become colours."""

    bands: tuple[int, int, int] = (1, 2, 3)
    """Numbers of the bands shown as red, green and blue, from 1."""
    percentiles: tuple[float, float] = (0.0, 100.0)
    """Values below the first percentile are 0, values above the second are 255."""


class _Reader(ImageReader):  # type: ignore[misc]
    """A reader that does not warn of a raster without overviews."""

    def __attrs_post_init__(self) -> None:
        # rio-tiler warns in the last step of its initialisation. While another thread has turned
        # warnings into errors (`clusternet.network.weight_files.load_weights`), it raises instead.
        with suppress(NoOverviewWarning):
            super().__attrs_post_init__()


class ImageTiles:
    """Tiles of one raster; each thread opens it anew, as rasterio datasets are not thread-safe."""

    def __init__(self, path: Path, nodata: NodataChoice | Number | None = None) -> None:
        """Open a raster, and take percentiles of its bands at 1024 pixels a side or less."""
        self._path, self._nodata = path, nodata
        self.name = path.name
        self.backdrop: ImageTiles | None = None
        """Another raster on the grid of this one, None if there is none."""
        self._superpixels = Superpixels()
        shown = (str(path.resolve()), *state_of(path), nodata)
        self.key = hashlib.sha256(repr(shown).encode()).hexdigest()[:12]
        """Part of the addresses of tiles, as browsers cache them: it differs between scenes."""
        self._local = threading.local()
        reader, raster = self._reader()
        self.num_bands = reader.dataset.count
        self.band_names = tuple(
            text or f"band {i}" for i, text in enumerate(reader.dataset.descriptions, 1)
        )
        self.max_zoom = int(reader.maxzoom)
        self.is_byte = reader.dataset.dtypes[0] == "uint8"
        self.has_palette = bool(reader.colormap)
        shape = raster.profile.shape
        pixels, valid = raster.read_coarse(Window(0, 0, *shape), step=-(-max(shape) // 1024))
        steps = np.arange(0, 100.5, 0.5)
        quantiles = [_quantiles(band, steps) for band in pixels[valid].T]
        # not strict: a palette has one band number, but three bands of colours
        self._quantiles = dict(zip(raster.band_numbers, quantiles, strict=False))

    def first_look(self) -> Look:
        """Return the look to start with: 8-bit images as they are, others stretched."""
        bands = (1, 2, 3) if self.num_bands >= 3 else (1, 1, 1)
        return Look(bands, (0.0, 100.0) if self.is_byte else (2.0, 98.0))

    def limits(self, band: int, percentiles: tuple[float, float]) -> tuple[float, float]:
        """Return the values at two percentiles of a band; 0 and 255 for all of an 8-bit one."""
        if self.is_byte and percentiles == (0.0, 100.0):
            return 0.0, 255.0
        if band not in self._quantiles:  # alpha
            return 0.0, 255.0
        low, high = (float(self._quantiles[band][round(p * 2)]) for p in percentiles)
        return low, max(high, low + 1e-6, float(np.nextafter(low, np.inf)))

    def tile(self, zoom: int, col: int, row: int, look: Look) -> bytes | None:
        """Return a tile as PNG; None beyond the raster."""
        if not 0 <= zoom <= self.max_zoom:
            return None
        reader, raster = self._reader()
        bands = (1,) if self.has_palette else look.bands
        # averages where tiles show several pixels as one; indexes of a palette have no average
        method = "nearest" if self.has_palette else "average"
        try:
            with quiet_georeferencing(), remote_settings(self._path):
                image = reader.tile(
                    col, row, zoom, tilesize=TILE, indexes=bands, resampling_method=method
                )
        except TileOutsideBounds:
            return None
        if self.has_palette:
            colours = image.apply_colormap(reader.colormap).array.data[:3]
        else:
            colours = self._stretch(image.array.data, look)
        alpha = np.where(_visible(raster, row, col, 1 << (self.max_zoom - zoom)), 255, 0)
        return as_png(np.concatenate([colours, alpha[None].astype(np.uint8)]))

    def values(self, row: int, col: int) -> list[float] | None:
        """Return the bands of a pixel; None without data."""
        _, raster = self._reader()
        pixels, valid = raster.read(Window(row, col, 1, 1))
        found: list[float] = pixels[0, 0].tolist()
        return found if valid[0, 0] else None

    def superpixels(self, view: View, look: Look) -> IntArray:
        """Return the superpixel of each pixel of a view, 0 without data; (rows, cols)."""

        def read(window: Window, step: int) -> tuple[UInt8Array, BoolArray]:
            return self.colours(window, step, look)

        return self._superpixels.labels(view, look, read)

    def colours(self, window: Window, step: int, look: Look) -> tuple[UInt8Array, BoolArray]:
        """Return the colours (rows, cols, 3) of a window at a step, and which have data."""
        _, raster = self._reader()
        pixels, valid = raster.read_coarse(window, step)
        if self.has_palette:
            return np.asarray(pixels, np.uint8), valid
        numbers = raster.band_numbers
        indexes = [numbers.index(n) if n in numbers else 0 for n in look.bands]
        bands = np.moveaxis(pixels[..., indexes], -1, 0)
        return np.moveaxis(self._stretch(bands, look), 0, -1), valid

    def _stretch(self, bands: AnyArray, look: Look) -> UInt8Array:
        shown = np.empty(bands.shape, np.uint8)
        for i, number in enumerate(look.bands):
            low, high = self.limits(number, look.percentiles)
            scaled = (bands[i].astype(np.float64) - low) * (255 / (high - low))
            shown[i] = np.nan_to_num(scaled).clip(0, 255)
        return shown

    def _reader(self) -> tuple[ImageReader, Raster]:
        """Return this thread's reader of colours, and its raster for the valid mask."""
        if not hasattr(self._local, "readers"):
            # a small raster needs no overviews, a large one gets some (clusternet.raster.pyramid)
            with (
                quiet_georeferencing(),
                quiet_warnings(NoOverviewWarning),
                kept_open(),
                remote_settings(self._path),
            ):
                reader = _Reader(gdal_name(self._path))
            self._local.readers = reader, Raster(reader.dataset, self._nodata, path=self._path)
        reader, raster = self._local.readers
        return reader, raster


def _visible(raster: Raster, row: int, col: int, step: int) -> BoolArray:
    """Return the pixels of a tile that have data.

    At small scales, a pixel of the tile may reach beyond the raster's border. Its colour would be
    an average with nodata, so it is left out.

    Args:
        raster: open.
        row: number of the tile.
        col: number of the tile.
        step: pixels of the raster to one of the tile.

    Returns:
        (rows, cols) of the tile.
    """
    side = TILE * step
    inside = Window(row * side, col * side, side, side).inside(raster.profile.shape)
    visible = np.zeros((TILE, TILE), np.bool_)
    if min(inside.shape) >= step:
        valid = raster.read_coarse(inside, step)[1]
        visible[: valid.shape[0], : valid.shape[1]] = valid
    return visible


def _quantiles(values: AnyArray, steps: AnyArray) -> AnyArray:
    return np.percentile(values.astype(np.float64), steps) if values.size else steps / 100


def as_png(colours: UInt8Array) -> bytes:
    """Encode red, green, blue and alpha (4, rows, cols) as PNG; fast, with little compression."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.moveaxis(colours, 0, -1))).save(
        stream, "PNG", compress_level=1
    )
    return stream.getvalue()


def as_palette_png(indexes: UInt8Array, table: UInt8Array) -> bytes:
    """Encode indexes (rows, cols) into an RGBA table (colours, 4) as a palette PNG."""
    image = Image.fromarray(indexes)
    image.putpalette(table[:, :3].tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1, transparency=table[:, 3].tobytes())
    return stream.getvalue()
