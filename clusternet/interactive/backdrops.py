"""Backdrops: another raster, or tiles of a map service whose address a person has typed."""

from __future__ import annotations

from urllib.parse import urlsplit

from clusternet.errors import LabelError
from clusternet.messages import short_value
from clusternet.raster import RasterProfile
from clusternet.raster.world import is_placed, mercator_lattice

_SIDE = 17  # points of the lattice along each side of a scene; between them it is interpolated


def check_service(address: str) -> str:
    """Return the address of a map service.

    Raises:
        LabelError: if it is none.
    """
    address = address.strip()
    complete = all(name in address for name in ("{x}", "{y}", "{z}"))
    if not (_names_a_server(address) and complete):
        raise LabelError(
            "Expected an address such as https://server/{z}/{x}/{y}.png, "
            f"found {short_value(address)}."
        )
    return address


def _names_a_server(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:  # brackets that hold no IPv6 address
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def service_lattice(profile: RasterProfile) -> list[list[list[float]]] | None:
    """Return Web Mercator coordinates of evenly spaced points of a scene, row by row.

    None if the place of the scene on Earth is not known.
    """
    if not is_placed(profile):
        return None
    lattice: list[list[list[float]]] = mercator_lattice(profile, _SIDE).round(3).tolist()
    return lattice
