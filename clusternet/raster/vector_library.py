"""pyogrio and what comes with it: pandas, geopandas and a GDAL of its own.

It takes a third of a second to load, so it is loaded inside the functions that use it.
"""

from __future__ import annotations

import pyogrio
import pyogrio.raw

__all__ = ["pyogrio"]
