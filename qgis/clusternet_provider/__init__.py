"""Processing algorithms that call the command ``clusternet``."""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:
    """Return the plugin; QGIS calls this."""
    from .plugin import Plugin

    return Plugin()
