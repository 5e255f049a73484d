"""Rasters that are placed by control points or polynomials, and not by a transform."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.rpc import RPC

from clusternet.foreign_errors import is_foreign
from clusternet.raster.crs import same_crs_text
from clusternet.windows import Window

Point = tuple[float, float, float, float, float]
"""(row, col, x, y, z) of a ground control point."""


@dataclass(frozen=True)
class Control:
    """What places a raster that has no transform."""

    points: tuple[Point, ...] = ()
    """Ground control points."""
    crs: CRS | None = None
    """Of the points, None where they are on no known system."""
    rpcs: RPC | None = None
    """Rational polynomial coefficients, as satellite scenes come with."""
    has_geolocation: bool = False
    """Geolocation arrays give the place of each pixel; outputs cannot carry them."""

    def of_window(self, window: Window) -> Control:
        """Return what places a window, taken as a raster of its own."""
        row, col = window.row, window.col
        points = tuple((p[0] - row, p[1] - col, *p[2:]) for p in self.points)
        rpcs = None
        if self.rpcs is not None:
            rpcs = RPC.from_gdal(
                self.rpcs.to_gdal()
                | {
                    "LINE_OFF": str(self.rpcs.line_off - row),
                    "SAMP_OFF": str(self.rpcs.samp_off - col),
                }
            )
        return replace(self, points=points, rpcs=rpcs)

    def write(self, dataset: DatasetWriter) -> None:
        """Give them to a raster that is being written."""
        if self.points:
            points = [GroundControlPoint(*point) for point in self.points]
            dataset.gcps = (points, self.crs or CRS())
        if self.rpcs is not None:
            dataset.rpcs = self.rpcs

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for patches.json."""
        return {
            "points": [list(point) for point in self.points],
            "crs": None if self.crs is None else same_crs_text(self.crs),
            "rpcs": None if self.rpcs is None else self.rpcs.to_gdal(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Control:
        """Read what `to_json` wrote.

        Raises:
            ValueError: if it is something else.
        """
        points = tuple(_point(point) for point in values["points"])
        crs, rpcs = values["crs"], values["rpcs"]
        return cls(
            points,
            None if crs is None else CRS.from_user_input(str(crs)),
            None if rpcs is None else RPC.from_gdal(dict(rpcs)),
        )

    def warp_command(self, path: Path, *, with_alpha: bool) -> str:
        """Return the command that gives a raster a transform, and leaves its values as they are.

        With ``with_alpha`` what lies beside the raster then is marked; else its nodata value does.
        """
        warped = path.with_name(f"{path.stem}_warped.tif")
        how = []
        if not self.points:
            how = ["-rpc"] if self.rpcs is not None else ["-geoloc"]
            how += ["-t_srs", "EPSG:4326"]
        how += ["-dstalpha"] if with_alpha else []
        return shlex.join(["gdalwarp", "-r", "near", *how, str(path), str(warped)])

    def __str__(self) -> str:
        """Say what it is, for messages."""
        if self.points:
            return f"{len(self.points)} ground control points"
        return "rational polynomials" if self.rpcs is not None else "geolocation arrays"


def _point(values: Any) -> Point:
    row, col, x, y, z = map(float, values)
    return row, col, x, y, z


def read_control(dataset: DatasetReader) -> Control | None:
    """Read what places a raster beside or instead of a transform, None if nothing does."""
    points, crs = dataset.gcps
    if dataset.transform != Affine.identity():
        points = []  # GDAL, too, takes the transform
    rpcs = _read_rpcs(dataset)
    has_geolocation = bool(dataset.tags(ns="GEOLOCATION"))
    if not points and rpcs is None and not has_geolocation:
        return None
    found = tuple((p.row, p.col, p.x, p.y, p.z or 0.0) for p in points)
    return Control(found, crs if points and crs else None, rpcs, has_geolocation)


def _read_rpcs(dataset: DatasetReader) -> RPC | None:
    try:
        rpcs = dataset.rpcs
    except Exception as error:
        if not is_foreign(error) and not isinstance(error, (KeyError, TypeError, ValueError)):
            raise
        return None  # incomplete ones place nothing
    numbers = () if rpcs is None else (rpcs.line_off, rpcs.samp_off, rpcs.line_scale)
    return rpcs if numbers and all(map(math.isfinite, numbers)) else None
