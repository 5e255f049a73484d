"""Rasters georeferenced by control points, RPCs or geolocation arrays instead of a transform."""

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
    """The georeference of a raster that has no transform."""

    points: tuple[Point, ...] = ()
    """Ground control points."""
    crs: CRS | None = None
    """CRS of the points, None where they have none."""
    rpcs: RPC | None = None
    """Rational polynomial coefficients, as many satellite scenes have."""
    has_geolocation: bool = False
    """True if geolocation arrays state coordinates of each pixel. A GeoTIFF cannot hold them."""

    def of_window(self, window: Window) -> Control:
        """Return the georeference of a window as a raster of its own."""
        row, col = window.row, window.col
        # Points and RPCs map pixels of the scene to coordinates. The first pixel of the window is
        # pixel (row, col) of the scene, so only these pixel offsets change.
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
        """Write points and RPCs to a raster that is open for writing."""
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
            ValueError: if the values have another form.
        """
        points = tuple(_point(point) for point in values["points"])
        crs, rpcs = values["crs"], values["rpcs"]
        return cls(
            points,
            None if crs is None else CRS.from_user_input(str(crs)),
            None if rpcs is None else RPC.from_gdal(dict(rpcs)),
        )

    def warp_command(self, path: Path, *, with_alpha: bool) -> str:
        """Return the command that warps a raster to a transform, without changing its values.

        With ``with_alpha`` it adds an alpha band, for rasters without a nodata value or mask:
        a warped raster has pixels without data at its edges.
        """
        warped = path.with_name(f"{path.stem}_warped.tif")
        how = []
        if not self.points:
            how = ["-rpc"] if self.rpcs is not None else ["-geoloc"]
            how += ["-t_srs", "EPSG:4326"]
        how += ["-dstalpha"] if with_alpha else []
        return shlex.join(["gdalwarp", "-r", "near", *how, str(path), str(warped)])

    def __str__(self) -> str:
        """Name the kind of georeference, for messages."""
        if self.points:
            return f"{len(self.points)} ground control points"
        return "rational polynomials" if self.rpcs is not None else "geolocation arrays"


def _point(values: Any) -> Point:
    row, col, x, y, z = map(float, values)
    return row, col, x, y, z


def read_control(dataset: DatasetReader) -> Control | None:
    """Read the georeference of a raster beside or instead of its transform, None if it has none."""
    points, crs = dataset.gcps
    if dataset.transform != Affine.identity():
        points = []  # as in GDAL, the transform takes precedence over control points
    rpcs = _read_rpcs(dataset)
    has_geolocation = bool(dataset.tags(ns="GEOLOCATION"))
    if not points and rpcs is None and not has_geolocation:
        return None
    plain_points = tuple((p.row, p.col, p.x, p.y, p.z or 0.0) for p in points)
    return Control(plain_points, crs if points and crs else None, rpcs, has_geolocation)


def _read_rpcs(dataset: DatasetReader) -> RPC | None:
    try:
        rpcs = dataset.rpcs
    except Exception as error:
        if not is_foreign(error) and not isinstance(error, (KeyError, TypeError, ValueError)):
            raise
        return None  # incomplete RPCs are no georeference
    numbers = () if rpcs is None else (rpcs.line_off, rpcs.samp_off, rpcs.line_scale)
    return rpcs if numbers and all(map(math.isfinite, numbers)) else None
