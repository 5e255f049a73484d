"""Whether the coordinates of two files can be compared, and advice where they cannot."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rasterio.crs import CRS

from clusternet.errors import GridMismatchError
from clusternet.raster.crs import crs_name, is_on_earth, stated
from clusternet.raster.endings import is_vector


@dataclass(frozen=True)
class Side:
    """One of two files whose coordinates are compared."""

    name: str
    """The file."""
    crs: CRS | None
    is_georeferenced: bool = True
    """False for an image in pixel coordinates."""


def check_comparable(first: Side, second: Side) -> None:
    """Raise GridMismatchError if coordinates of one file cannot be brought to the other.

    Two files without a CRS share one plane, as do a file without a CRS and one with a local CRS.
    """
    if is_on_earth(first.crs) and is_on_earth(second.crs):
        return
    if is_on_earth(first.crs) or is_on_earth(second.crs):
        without, given = (second, first) if is_on_earth(first.crs) else (first, second)
        raise GridMismatchError(_one_on_earth(without, given))
    own, other = stated(first.crs), stated(second.crs)
    if own is None or other is None:
        return
    names = {crs_name(own), crs_name(other)}  # of a local CRS, most formats keep only the name
    if len(names) > 1 and not names & {"'unnamed'", "'unknown'", "''"}:
        raise GridMismatchError(
            f"{first.name}: its local CRS {crs_name(own)} cannot be brought to that of "
            f"{second.name}, {crs_name(other)}; state the same CRS for both."
        )


def _one_on_earth(without: Side, given: Side) -> str:
    """Return the message for two files of which only one has a CRS on Earth."""
    crs = given.crs
    number = crs_name(crs) if crs is not None and crs.to_epsg() else "EPSG:NUMBER"
    start = f"{without.name}: has no CRS but {given.name} has one"
    if stated(without.crs) is not None:
        start = f"{without.name}: has the local CRS {crs_name(without.crs)} but {given.name} lies"
    start += f" in {crs_name(crs)}" if stated(without.crs) is not None else f" ({crs_name(crs)})"
    if not without.is_georeferenced:
        target = f"{Path(without.name).stem}_placed.tif"
        command = shlex.join(["gdal_translate", "-a_srs", number, "-a_ullr"])
        return (
            f"{start}; draw the labels on the image itself, or georeference it: {command} LEFT TOP "
            f"RIGHT BOTTOM {shlex.join([without.name, target])}"
        )
    return f"{start}; state the CRS of the first: {_assign_command(without.name, number)}"


def _assign_command(path: str, number: str) -> str:
    if is_vector(Path(path)):
        assigned = f"{Path(path).stem}_crs.gpkg"
        return shlex.join(["ogr2ogr", "-a_srs", number, assigned, path])
    return shlex.join(["rio", "edit-info", "--crs", number, path])


def refuse_control(path: Path | str, what: str, command: str) -> NoReturn:
    """Raise GridMismatchError: a raster without a transform must get one first."""
    raise GridMismatchError(
        f"{path}: is placed by {what} only, so nothing can be laid over it; warp it first, and "
        f"use the result: {command}"
    )
