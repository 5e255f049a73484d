"""The profile of a raster (grid, pixel type, nodata), passed from every input to every output."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from affine import Affine
from rasterio.crs import CRS
from rasterio.io import DatasetReader

from clusternet.nodata import NodataRule, Number, default_rule
from clusternet.raster.band_identity import NOTHING_STATED, Arrangement, BandIdentity
from clusternet.raster.control import Control
from clusternet.windows import Shape, Window


@dataclass(frozen=True)
class RasterProfile:
    """The grid and pixel type of a raster, without its pixels."""

    path: Path
    """The file it was read from."""
    shape: Shape
    """(rows, cols) in pixels."""
    num_bands: int
    """Bands that carry measurements; an alpha band is not one of them."""
    dtype: str
    """numpy name of the pixel type, such as ``uint16``."""
    crs: CRS | None
    """Coordinate reference system, None where the file has none."""
    transform: Affine
    """Maps (col, row) to coordinates; the identity where the file has none."""
    nodata: Number | None
    """The nodata value of all bands (the user's, else the file's); None if there is none or bands
    differ."""
    has_mask: bool
    """True if the file marks its valid pixels with an alpha band or mask bands."""
    band_nodata: tuple[Number | None, ...] = ()
    """The nodata value of each band, None where a band has none; empty if unknown."""
    nodata_rule: NodataRule = "any"
    """Whether a pixel is nodata if ``any`` or if ``all`` of its bands are."""
    bands: BandIdentity = NOTHING_STATED
    """The metadata of its bands."""
    control: Control | None = None
    """Control points or RPCs beside or instead of the transform, None if there are none."""
    num_other_images: int = 0
    """Pages of the file that are not read, such as thumbnails."""

    @property
    def has_uneven_nodata(self) -> bool:
        """True if bands have different nodata values, or only some have one."""
        return self.nodata is None and any(value is not None for value in self.band_nodata)

    @property
    def nodata_needs_mask(self) -> bool:
        """True if a single nodata value cannot mark the valid pixels, so outputs need a mask."""
        # a reader sees only the nodata value, and combines bands by the usual rule
        usual = default_rule(self.dtype, (self.nodata,) * self.num_bands)
        by_other_rule = self.nodata is not None and self.nodata_rule != usual
        return self.has_uneven_nodata or (by_other_rule and self.num_bands > 1)

    @property
    def is_georeferenced(self) -> bool:
        """True if a transform gives pixels coordinates on Earth or on a local plane."""
        if self.control is not None and self.transform == Affine.identity():
            return False
        return self.crs is not None or self.transform != Affine.identity()

    @property
    def output_crs(self) -> CRS | None:
        """The CRS of outputs; None where they have control points, which state their own CRS."""
        by_points = self.control is not None and bool(self.control.points)
        return None if by_points and not self.is_georeferenced else self.crs

    @property
    def warp_command(self) -> str:
        """The command that warps a raster with control points or RPCs to a transform."""
        if self.control is None:
            return ""
        has_nodata = self.has_mask or self.nodata is not None or self.has_uneven_nodata
        return self.control.warp_command(self.path, with_alpha=not has_nodata)

    @property
    def pixel_area_ha(self) -> float | None:
        """Area of a pixel in hectares; None unless the CRS is projected."""
        if self.crs is None or not self.crs.is_projected or not self.is_georeferenced:
            return None
        metres = float(self.crs.linear_units_factor[1])  # a US survey foot has 0.3048006 metres
        return abs(self.transform.determinant) * metres**2 / 10_000

    def arranged(self, arrangement: Arrangement) -> RasterProfile:
        """Return the profile with its bands in the order of an arrangement."""
        order = arrangement.order
        if order is None:
            return self
        markers = self.band_nodata and tuple(self.band_nodata[i] for i in order)
        return replace(self, band_nodata=markers, bands=self.bands.in_order(order))

    def window_transform(self, window: Window) -> Affine:
        """Return the transform of ``window`` taken as a raster of its own."""
        return self.transform @ Affine.translation(window.col, window.row)


def read_transform(dataset: DatasetReader) -> Affine:
    """Return the transform of an open dataset; the identity if it has none or an unusable one."""
    # For PNM files (.pgm, .ppm) without a world file, GDAL returns uninitialised memory.
    path = Path(dataset.name)
    if dataset.driver == "PNM" and not any(
        path.with_suffix(suffix).is_file() for suffix in (".wld", ".WLD")
    ):
        return Affine.identity()
    transform: Affine = dataset.transform
    return transform if has_extent(transform) else Affine.identity()


def has_extent(transform: Affine) -> bool:
    """Tell whether pixels have a size under a transform, so that it can be inverted."""
    return all(map(math.isfinite, transform)) and transform.determinant != 0


def make_profile(
    path: Path, shape: Shape, *, epsg: int, origin: tuple[float, float], pixel_size: float
) -> RasterProfile:
    """Return the profile of a new north-up 8-bit raster.

    Args:
        path: the file that will be written.
        shape: (rows, cols) in pixels.
        epsg: number of the CRS.
        origin: (x, y) of the upper left corner, in units of the CRS.
        pixel_size: side of a pixel, in units of the CRS.
    """
    transform = Affine(pixel_size, 0, origin[0], 0, -pixel_size, origin[1])
    crs = CRS.from_epsg(epsg)
    return RasterProfile(path, shape, 1, "uint8", crs, transform, nodata=None, has_mask=False)
