"""The tiles that the page fetches: of the raster, of its classes and of their uncertainty."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import numpy as np
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from clusternet.errors import LabelError
from clusternet.foreign_errors import mistake
from clusternet.interactive.served import MOST_DIGITS, Served
from clusternet.interactive.superpixels import View, outlines
from clusternet.interactive.tiles import TILE, ImageTiles, Look, as_palette_png, as_png
from clusternet.interactive.workspace import Workspace
from clusternet.learning.mapping import classify, confidence
from clusternet.types import NO_CLASS, IntArray, UInt8Array
from clusternet.windows import Window

logger = logging.getLogger(__name__)

_CACHED = {"Cache-Control": "private, max-age=3600"}  # the address names the content
_MOST_BANDS = 8  # whose values are shown
_NOT_CACHED = {"Cache-Control": "no-store"}


def add_routes(app: FastAPI, served: Served) -> None:
    """Add the routes of the tiles of all scenes; ``scene`` in an address is the number of one."""
    for name, answer in _answers(served).items():
        app.get(f"/{name}")(_readable(answer))


def _answers(served: Served) -> dict[str, Callable[..., Response]]:
    """Return what answers each kind of address."""

    def image(
        zoom: int, col: int, row: int, bands: str, low: float, high: float, scene: str = "0"
    ) -> Response:
        workspace, images = _scene(served, scene)
        look = _look(bands, low, high, images)
        workspace.tile_requests.note()
        tile = None if look is None else images.tile(zoom, col, row, look)
        return _png(tile, _CACHED)

    def classes(zoom: int, col: int, row: int, scene: str = "0") -> Response:
        workspace, images = _scene(served, scene)
        workspace.tile_requests.note()
        return _png(class_tile(workspace, images.max_zoom, zoom, col, row), _NOT_CACHED)

    def doubt(zoom: int, col: int, row: int, scene: str = "0") -> Response:
        workspace, images = _scene(served, scene)
        workspace.tile_requests.note()
        return _png(doubt_tile(workspace, images.max_zoom, zoom, col, row), _NOT_CACHED)

    def backdrop(zoom: int, col: int, row: int, scene: str = "0") -> Response:
        tiles = _scene(served, scene)[1].backdrop
        tile = None if tiles is None else tiles.tile(zoom, col, row, tiles.first_look())
        return _png(tile, _CACHED)

    def thumbnail(scene: str) -> Response:
        images = _scene(served, scene)[1]
        return _png(images.tile(0, 0, 0, images.first_look()), _NOT_CACHED)

    def values(row: int, col: int, scene: str = "0") -> Response:
        return JSONResponse({"text": pixel_text(*_scene(served, scene), row, col)})

    def superpixels(  # its address names a part of the scene, and how bands are shown
        row: int, col: int, height: int, width: int, step: int,
        bands: str, low: float, high: float, scene: str = "0",
    ) -> Response:  # fmt: skip
        workspace, images = _scene(served, scene)
        look = _look(bands, low, high, images)
        if look is None:
            return _png(None, _CACHED)
        try:
            view = View.shown(Window(row, col, height, width), step, workspace.cache.shape)
        except LabelError:
            return _png(None, _CACHED)
        return _png(as_png(outlines(images.superpixels(view, look))), _CACHED)

    tile = "{zoom}/{col}/{row}.png"
    return {
        f"image/{tile}": image,
        f"classes/{tile}": classes,
        f"doubt/{tile}": doubt,
        f"backdrop/{tile}": backdrop,
        "thumbnail/{scene}.png": thumbnail,
        "values/{row}/{col}": values,
        "superpixels/{row}/{col}/{height}/{width}/{step}.png": superpixels,
    }


def _readable(answer: Callable[..., Response]) -> Callable[..., Response]:
    """Return an answer that says so if a raster cannot be read: it may be gone, or damaged."""

    @wraps(answer)
    def safely(**given: Any) -> Response:
        try:
            return answer(**given)
        except Exception as error:
            line = mistake(error)
            if line is None:
                raise
            _warn_once(line)
            return Response(line, status_code=503, headers=_NOT_CACHED)

    return safely


@lru_cache(maxsize=100)
def _warn_once(line: str) -> None:
    """Log a line; each view asks for many tiles that fail alike."""
    logger.warning("%s", line)


def _scene(served: Served, text: str) -> tuple[Workspace, ImageTiles]:
    number = served.number(text)
    return served.workspaces[number], served.images(number)


def pixel_text(workspace: Workspace, images: ImageTiles, row: int, col: int) -> str:
    """Return the bands of a pixel, its class and how certain that is; empty beyond the scene."""
    rows, cols = workspace.cache.shape
    values = images.values(row, col) if 0 <= row < rows and 0 <= col < cols else None
    if values is None:
        return ""
    text = " ".join(f"{value:.4g}" for value in values[:_MOST_BANDS])
    text += " ..." if len(values) > _MOST_BANDS else ""
    classifier, window = workspace.classifier, Window(row, col, 1, 1)
    if classifier is None:
        return text
    number = int(classify(workspace.cache, classifier, window, 1, workspace.smooth)[0, 0])
    names = {c.number: c.name for c in workspace.drawing.classes}
    if number not in names:
        return text
    certain = float(confidence(workspace.cache, classifier, window)[0, 0])
    return f"{text}  ·  {names[number]} ({certain:.0%} certain)"


def class_tile(workspace: Workspace, max_zoom: int, zoom: int, col: int, row: int) -> bytes | None:
    """Return the classes of a tile as PNG; transparent where there is no class or it is hidden.

    None beyond the scene, or before the first stroke.
    """
    tile = tile_window(workspace.cache.shape, max_zoom, zoom, col, row)
    classifier, drawing = workspace.classifier, workspace.drawing
    if tile is None or classifier is None:
        return None
    window, step = tile
    class_map = classify(workspace.cache, classifier, window, step, workspace.smooth)
    # A palette PNG has 256 colours: 0 is transparent, which leaves 255 classes.
    numbers = [c.number for c in drawing.classes][:255]
    lookup = np.zeros(max(numbers, default=0) + 1, np.uint8)
    table = np.zeros((len(numbers) + 1, 4), np.uint8)
    for index, land_class in enumerate(drawing.classes[:255], 1):
        lookup[land_class.number] = index
        table[index] = (*land_class.colour, 0 if land_class.number in workspace.hidden else 255)
    known = (class_map != NO_CLASS) & (class_map < len(lookup))
    indexes = np.where(known, lookup[np.where(known, class_map, 0)], 0)
    return as_palette_png(_whole_tile(indexes), table)


def doubt_tile(workspace: Workspace, max_zoom: int, zoom: int, col: int, row: int) -> bytes | None:
    """Return a tile as PNG that is the more opaque, the less certain the class is.

    None beyond the scene, or before the first stroke.
    """
    tile = tile_window(workspace.cache.shape, max_zoom, zoom, col, row)
    classifier = workspace.classifier
    if tile is None or classifier is None:
        return None
    window, step = tile
    doubt = 1 - np.nan_to_num(confidence(workspace.cache, classifier, window, step), nan=1.0)
    opacity = _whole_tile(np.rint(doubt * 230).astype(np.int32))
    colour = np.array([255, 0, 200], np.uint8)  # pink: rare in overhead images
    shown = np.broadcast_to(colour[:, None, None], (3, TILE, TILE))
    return as_png(np.concatenate([shown, opacity[None]]))


def tile_window(
    shape: tuple[int, int], max_zoom: int, zoom: int, col: int, row: int
) -> tuple[Window, int] | None:
    """Return the window of a tile and how many of its pixels make one of the tile's, to a side.

    None beyond the scene.
    """
    if not 0 <= zoom <= max_zoom or min(row, col) < 0:
        return None
    step = 1 << (max_zoom - zoom)
    side = TILE * step
    window = Window(row * side, col * side, side, side).inside(shape)
    return (window, step) if window.height and window.width else None


def _whole_tile(values: IntArray) -> UInt8Array:
    tile = np.zeros((TILE, TILE), np.uint8)
    tile[: values.shape[0], : values.shape[1]] = values
    return tile


def _look(bands: str, low: float, high: float, images: ImageTiles) -> Look | None:
    numbers = [int(n) for n in bands.split(",") if n.isdecimal() and len(n) <= MOST_DIGITS]
    if len(numbers) != 3 or not all(1 <= n <= images.num_bands for n in numbers):
        return None
    if not 0 <= low < high <= 100:
        return None
    return Look((numbers[0], numbers[1], numbers[2]), (low, high))


def _png(tile: bytes | None, headers: dict[str, str]) -> Response:
    if tile is None:
        return Response(status_code=204, headers=headers)
    return Response(tile, media_type="image/png", headers=headers)
