"""The map element of the page; scene_map.js and map_code are the code that runs in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import shapely
from nicegui.element import Element
from nicegui.elements import leaflet

# NiceGUI ships Leaflet. Importing its package adds the module "nicegui-leaflet" to the import map
# of every page, which scene_map.js needs.
_LEAFLET = Path(leaflet.__file__).parent / "dist"


class SceneMap(  # type: ignore[call-arg]
    Element,  # type: ignore[misc]
    component="scene_map.js",
    esm={"clusternet-map": "map_code"},
):
    """A Leaflet map in pixel coordinates with a pen.

    It emits the events ``ready``, ``stroke``, ``flood``, ``pick``, ``move``, ``key`` and
    ``updated``.
    """

    def __init__(self, scene: dict[str, Any]) -> None:
        """Show a scene: rows, cols, max_zoom, transform, georeferenced, degrees, pixel_metres."""
        super().__init__()
        self._props["scene"] = scene
        self.add_resource(_LEAFLET)


def shown_parts(geometry: shapely.Geometry) -> list[Any]:
    """Return a geometry as Leaflet takes it.

    Returns:
        for each part its (row, col) points, or for an area its rings of points: holes follow the
        outline.
    """

    def points(line: shapely.Geometry) -> list[list[float]]:
        found: list[list[float]] = shapely.get_coordinates(line)[:, ::-1].round(2).tolist()
        return found

    return [
        [points(ring) for ring in (part.exterior, *part.interiors)]
        if part.geom_type == "Polygon" else points(part)
        for part in shapely.get_parts(geometry)
    ]  # fmt: skip
