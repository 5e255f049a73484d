"""Which pixels of a class map were drawn on, as stated in its tags.

Strokes drawn on the page go on changing, so a map that is made from them cannot name a file. It
holds the strokes themselves.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine

from clusternet.labels.strokes import Stroke
from clusternet.raster import RasterProfile
from clusternet.types import AnyArray, BoolArray

STROKES_TAG = "CLUSTERNET_STROKES"
"""Metadata item of class maps: the strokes that they were made from, compressed."""
_DIGITS = 1  # of coordinates in pixels
_MOST = 2**26  # bytes of the strokes of a map; more is no tag of ours


@dataclass(frozen=True)
class DrawnStrokes:
    """The strokes that a class map was made from."""

    transform: Affine
    """Of the grid that they were drawn on, from pixels to coordinates."""
    geometries: AnyArray
    """(strokes,) in pixels of that grid."""
    reaches: AnyArray
    """(strokes,) distance in pixels that each covers to each side of its geometry."""

    def cover(self, profile: RasterProfile, pixels: AnyArray) -> BoolArray:
        """Tell which pixels (pixels, 2) of a map of the same CRS a stroke touches; (pixels,)."""
        onto = ~self.transform @ profile.transform
        corners = ((0, 0), (1, 0), (1, 1), (0, 1))
        squares = [
            shapely.Polygon([onto @ (col + x, row + y) for x, y in corners])
            for row, col in pixels.tolist()
        ]
        covered: BoolArray = np.zeros(len(squares), bool)
        for reach in np.unique(self.reaches).tolist():
            tree = shapely.STRtree(self.geometries[self.reaches == reach])
            covered[tree.query(squares, "dwithin", distance=reach)[0]] = True
        return covered


def stroke_tags(strokes: Iterable[Stroke], transform: Affine) -> dict[str, str]:
    """Return the tags that state the strokes of a class map; those held back do not count.

    Args:
        strokes: in pixels of the map.
        transform: of the map.
    """
    stated = [
        [round(stroke.reach, _DIGITS), shapely.to_wkt(stroke.geometry, rounding_precision=_DIGITS)]
        for stroke in strokes
        if not stroke.is_check
    ]
    if not stated:
        return {}
    text = json.dumps({"transform": list(transform)[:6], "strokes": stated})
    return {STROKES_TAG: base64.b64encode(zlib.compress(text.encode(), 9)).decode()}


def read_drawn(tags: Mapping[str, str]) -> DrawnStrokes | None:
    """Return the strokes that the tags of a class map state; None if they state none."""
    if not tags.get(STROKES_TAG):
        return None
    try:
        unpacked = zlib.decompressobj().decompress(base64.b64decode(tags[STROKES_TAG]), _MOST)
        values = json.loads(unpacked)
        reaches = np.array([float(reach) for reach, _ in values["strokes"]])
        geometries = shapely.from_wkt([str(text) for _, text in values["strokes"]])
        transform = Affine(*map(float, values["transform"]))
    except (binascii.Error, zlib.error, ValueError, TypeError, KeyError, shapely.GEOSException):
        return None  # tags may be edited by others
    return DrawnStrokes(transform, geometries, reaches)
