"""Rasters whose georeference outputs cannot carry."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from clusternet.raster.profile import RasterProfile

logger = logging.getLogger(__name__)


def warn_of_lost_georeference(profiles: Iterable[RasterProfile]) -> None:
    """Warn of rasters with geolocation arrays only, which a GeoTIFF cannot hold."""
    for profile in profiles:
        control = profile.control
        if control is None or profile.is_georeferenced or not control.has_geolocation:
            continue
        if not control.points and control.rpcs is None:
            logger.warning(
                "%s: is placed by geolocation arrays, which outputs cannot carry; warp it first: "
                "%s", profile.path, profile.warp_command,
            )  # fmt: skip
