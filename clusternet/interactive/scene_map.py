"""The map element of the page; its other half is scene_map.js."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nicegui.element import Element
from nicegui.elements import leaflet

# The copy that NiceGUI brings along; importing the package makes it known to every page.
_LEAFLET = Path(leaflet.__file__).parent / "dist"


class SceneMap(Element, component="scene_map.js"):  # type: ignore[misc,call-arg]
    """A map in pixel coordinates with a pen; events: ready, stroke, key, updated."""

    def __init__(self, scene: dict[str, Any]) -> None:
        """Show a scene: rows, cols, max_zoom, transform, georeferenced, degrees."""
        super().__init__()
        self._props["scene"] = scene
        self.add_resource(_LEAFLET)
