"""One virtual raster of the bands of a scene, on the grid of the finest of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from affine import Affine

from clusternet.errors import GridMismatchError, RasterError
from clusternet.raster.crs import crs_name, same_crs_text, wkt_of
from clusternet.raster.plain_paths import plain_path
from clusternet.raster.profile import RasterProfile
from clusternet.raster.stacks import StackedPath

_GDAL_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32",
    "int32": "Int32", "uint64": "UInt64", "int64": "Int64", "float32": "Float32",
    "float64": "Float64",
}  # fmt: skip
_TOLERANCE = 1e-3  # pixels of the finest band

ReadProfile = Callable[[Path], RasterProfile]


@dataclass(frozen=True)
class Stack:
    """The bands of a scene, and where each lies on the grid of the finest."""

    path: StackedPath
    grid: RasterProfile
    """Profile of the finest band."""
    profiles: tuple[RasterProfile, ...]
    """Profile of each band."""
    quality: RasterProfile | None
    """Profile of the quality band."""

    @property
    def coarser(self) -> list[str]:
        """Names of the bands that are interpolated."""
        named = zip(self.path.bands, self.profiles, strict=True)
        return [name for (name, _), profile in named if profile.shape != self.grid.shape]

    @property
    def dtype(self) -> str:
        """The smallest pixel type that holds all bands."""
        return np.result_type(*(profile.dtype for profile in self.profiles)).name

    def xml(self) -> str:
        """Return the virtual raster of all bands; coarser ones are interpolated (bilinear)."""
        root = self._root()
        for number, ((name, _), profile) in enumerate(
            zip(self.path.bands, self.profiles, strict=True), 1
        ):
            band = SubElement(
                root, "VRTRasterBand", dataType=_GDAL_TYPES[self.dtype], band=str(number)
            )
            SubElement(band, "Description").text = name
            if profile.nodata is not None:
                SubElement(band, "NoDataValue").text = repr(profile.nodata)
            if profile.bands.scales:
                SubElement(band, "Offset").text = repr(profile.bands.offsets[0])
                SubElement(band, "Scale").text = repr(profile.bands.scales[0])
            self._add_source(band, profile, "bilinear")
        return tostring(root, encoding="unicode")

    def layer_xml(self, profile: RasterProfile, band: str = "1") -> str:
        """Return the virtual raster of one file on this grid, each pixel the nearest of the file.

        Args:
            profile: of the file.
            band: number of the band, or ``mask,1`` for the mask of the file.
        """
        root = self._root()
        kind = "Byte" if band.startswith("mask") else _GDAL_TYPES[profile.dtype]
        element = SubElement(root, "VRTRasterBand", dataType=kind, band="1")
        self._add_source(element, profile, "nearest", band)
        return tostring(root, encoding="unicode")

    def _root(self) -> Element:
        rows, cols = self.grid.shape
        root = Element("VRTDataset", rasterXSize=str(cols), rasterYSize=str(rows))
        if self.grid.crs is not None:
            SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = wkt_of(self.grid.crs)
        if self.grid.is_georeferenced:
            t = self.grid.transform
            numbers = (t.c, t.a, t.b, t.f, t.d, t.e)
            SubElement(root, "GeoTransform").text = ", ".join(map(repr, numbers))
        return root

    def _add_source(
        self, band: Element, profile: RasterProfile, method: str, number: str = "1"
    ) -> None:
        is_mask = number.startswith("mask")
        source = SubElement(band, "ComplexSource", resampling=method)
        SubElement(source, "SourceFilename", relativeToVRT="0").text = _absolute(profile.path)
        SubElement(source, "SourceBand").text = number
        rows, cols = profile.shape
        _rectangle(source, "SrcRect", (0, 0, cols, rows))
        _rectangle(source, "DstRect", placed_on(self.grid, profile))
        if profile.nodata is not None and method == "bilinear" and not is_mask:
            SubElement(source, "NODATA").text = repr(profile.nodata)


def _absolute(path: Path) -> str:
    return plain_path(path if path.is_absolute() else path.absolute(), RasterError)


def _rectangle(source: Element, name: str, box: Sequence[float]) -> None:
    sides = zip(("xOff", "yOff", "xSize", "ySize"), box, strict=True)
    SubElement(source, name, {side: repr(value) for side, value in sides})


def make_stack(path: StackedPath, read_profile: ReadProfile) -> Stack:
    """Look at the files of a scene and check that they lie on each other.

    Args:
        path: the scene.
        read_profile: returns the profile of a file.

    Raises:
        RasterError: if a file has several bands, or cannot be read.
        GridMismatchError: if the files do not cover the same ground.
    """
    profiles = [_finest([_single(read_profile(f)) for f in files]) for _, files in path.bands]
    quality = _finest([_single(read_profile(f)) for f in path.quality]) if path.quality else None
    grid = _finest(profiles)
    for profile in (*profiles, *([quality] if quality else [])):
        _check_same_ground(grid, profile)
    return Stack(path, grid, tuple(profiles), quality)


def _single(profile: RasterProfile) -> RasterProfile:
    if profile.num_bands != 1:
        raise RasterError(
            f"{profile.path}: expected one band, as a file of --stack, found {profile.num_bands}; "
            "take the band out: gdal_translate -b 1."
        )
    if profile.control is not None and not profile.is_georeferenced:
        raise RasterError(
            f"{profile.path}: has {profile.control} instead of a transform, so its place among "
            f"the bands is not known; warp all bands first: {profile.warp_command}"
        )
    return profile


def _finest(profiles: Sequence[RasterProfile]) -> RasterProfile:
    """Return the raster of the smallest pixels; the first of several."""
    return min(profiles, key=lambda p: (round(abs(p.transform.determinant), 9), -p.shape[0]))


def _check_same_ground(grid: RasterProfile, band: RasterProfile) -> None:
    if grid.is_georeferenced != band.is_georeferenced or _crs(grid) != _crs(band):
        raise GridMismatchError(
            f"{band.path}: its CRS is {crs_name(band.crs)}, that of {grid.path.name} is "
            f"{crs_name(grid.crs)}; bands of one scene need one CRS: gdalwarp."
        )
    rows, cols = grid.shape
    x, y, width, height = placed_on(grid, band)
    pixel_x, pixel_y = width / band.shape[1], height / band.shape[0]
    apart = max(
        abs(x) / pixel_x, abs(x + width - cols) / pixel_x,
        abs(y) / pixel_y, abs(y + height - rows) / pixel_y,
    )  # fmt: skip
    if not (width > 0 and height > 0 and apart <= 1 + _TOLERANCE):
        raise GridMismatchError(
            f"{band.path}: covers other ground than {grid.path.name}, the finest band; expected "
            "borders that differ by one of its pixels at most: cut it with gdalwarp -te."
        )


def _crs(profile: RasterProfile) -> str:
    return "" if profile.crs is None else same_crs_text(profile.crs)


def placed_on(grid: RasterProfile, band: RasterProfile) -> tuple[float, float, float, float]:
    """Return the rectangle (x, y, width, height) of a raster in pixels of a grid.

    Raises:
        GridMismatchError: if the raster is rotated against the grid.
    """
    if not grid.is_georeferenced:
        return 0.0, 0.0, float(grid.shape[1]), float(grid.shape[0])
    to_grid: Affine = ~grid.transform @ band.transform
    rows, cols = band.shape
    if max(abs(to_grid.b) * rows, abs(to_grid.d) * cols) > _TOLERANCE:
        raise GridMismatchError(
            f"{band.path}: is rotated against {grid.path.name}; bring the bands of a scene onto "
            "one grid: gdalwarp."
        )
    x, y = to_grid @ (0, 0)
    box = (float(x), float(y), float(to_grid.a * cols), float(to_grid.e * rows))
    # rounding of transforms must not make bands of one grid look resampled
    snapped = [float(round(v)) if abs(v - round(v)) < _TOLERANCE else v for v in box]
    return snapped[0], snapped[1], snapped[2], snapped[3]
